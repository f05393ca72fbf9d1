/**
 * A device for the kernel tests of one file, and what stands around a kernel call.
 *
 * @module
 */
import { afterAll, afterEach, expect } from "vitest";
import { allocate } from "../../src/gpu/buffer.ts";
import { chooseAdapter, type GpuContext, openContext } from "../../src/gpu/context.ts";
import type { Dispatch } from "../../src/gpu/dispatch.ts";
import { ProgramCache } from "../../src/gpu/program.ts";
import { ReadbackRing } from "../../src/gpu/readback_ring.ts";
import { Recorder } from "../../src/gpu/recorder.ts";
import type { KernelContext } from "../../src/kernels/context.ts";
import { INCLUDES } from "../../src/kernels/includes.ts";
import { defaultTuning, type Tuning } from "../../src/kernels/tuning.ts";
import { denoGpu } from "../../src/platform/deno.ts";

/** What outputs hold before a kernel runs: a NaN that no arithmetic makes. */
export const POISON = 0x7fc0dead;

/** Poisoned words behind every output, which no kernel may touch. */
const GUARD_WORDS = 64;

/** The fields of the step uniform; those left out are 0. */
export interface StepCounts {
  readonly numTokens?: number;
  readonly numSamples?: number;
  readonly numDecodeRows?: number;
  readonly numTiles?: number;
}

type Words = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** Opens a device until the file's tests end; buffers live until their test ends. */
export async function openTestGpu(): Promise<TestGpu> {
  const choices = await denoGpu({ backend: "dawn", isTrusted: false }).listAdapters();
  const choice = chooseAdapter(choices, Deno.env.get("TESSERA_TEST_ADAPTER"));
  const gpu = new TestGpu(await openContext(choice));
  afterEach(() => gpu.release());
  afterAll(() => gpu.context.destroy());
  return gpu;
}

/** Uploads, runs and reads back. */
export class TestGpu {
  readonly context: GpuContext;
  readonly #programs: ProgramCache;
  readonly #readbacks: ReadbackRing;
  readonly #buffers: GPUBuffer[] = [];
  readonly #outputWords = new Map<GPUBuffer, number>();

  constructor(context: GpuContext) {
    this.context = context;
    this.#programs = new ProgramCache(context, INCLUDES);
    this.#readbacks = new ReadbackRing(context);
  }

  /** A kernel context whose step has `counts`. */
  async kernels(counts: StepCounts, tuning: Partial<Tuning> = {}): Promise<KernelContext> {
    const { numTokens = 0, numSamples = 0, numDecodeRows = 0, numTiles = 0 } = counts;
    const step = await allocate(this.context, { label: "step", sizeBytes: 16, role: "uniform" });
    this.#buffers.push(step);
    this.context.device.queue.writeBuffer(
      step,
      0,
      new Uint32Array([numTokens, numSamples, numDecodeRows, numTiles]),
    );
    const { capabilities } = this.context;
    return {
      programs: this.#programs,
      capabilities,
      tuning: defaultTuning(capabilities, tuning),
      step,
    };
  }

  /** A buffer that kernels read. */
  async upload(values: Words | Uint8Array<ArrayBuffer>): Promise<GPUBuffer> {
    const buffer = await allocate(this.context, { label: "input", sizeBytes: values.byteLength });
    this.#buffers.push(buffer);
    if (values.length > 0) this.context.device.queue.writeBuffer(buffer, 0, values);
    return buffer;
  }

  /** A guarded buffer that kernels write: so many poisoned words, or `contents` to change in place. */
  async output(contents: number | Words): Promise<GPUBuffer> {
    const numWords = typeof contents === "number" ? contents : contents.length;
    const words = new Uint32Array(numWords + GUARD_WORDS).fill(POISON);
    if (typeof contents !== "number") {
      words.set(new Uint32Array(contents.buffer, contents.byteOffset, numWords));
    }
    const buffer = await this.upload(words);
    this.#outputWords.set(buffer, numWords);
    return buffer;
  }

  /** Submits the dispatches in one pass. An error of the device fails the test. */
  async run(...dispatches: readonly (Dispatch | readonly Dispatch[])[]): Promise<void> {
    await this.#programs.compiled();
    const { device } = this.context;
    const recorder = new Recorder(this.context);
    device.pushErrorScope("validation");
    recorder.submit(recorder.record(dispatches.flat()));
    const error = await this.context.wait(device.popErrorScope());
    expect(error?.message).toBeUndefined();
  }

  /** The words of an output; its guard must be whole. */
  async readWords(output: GPUBuffer): Promise<Uint32Array<ArrayBuffer>> {
    const numWords = this.#outputWords.get(output);
    if (numWords === undefined) throw new Error("Only an output can be read");
    const readback = await this.#readbacks.reserve(output, 4 * (numWords + GUARD_WORDS));
    const recorder = new Recorder(this.context);
    recorder.submit(recorder.record([]), [readback.copy]);
    const words = new Uint32Array(await readback.read());
    const guard = words.subarray(numWords);
    if (guard.some((word) => word !== POISON)) throw new Error("A kernel wrote behind its output");
    return words.slice(0, numWords);
  }

  async read(output: GPUBuffer): Promise<Float32Array<ArrayBuffer>> {
    return new Float32Array((await this.readWords(output)).buffer);
  }

  release(): void {
    for (const buffer of this.#buffers) buffer.destroy();
    this.#buffers.length = 0;
    this.#outputWords.clear();
  }
}
