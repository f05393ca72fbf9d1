/**
 * How fast a device is at the two things that models are made of: reading weights, and multiplying
 * matrices.
 *
 * @module
 */
import { allocate, destroyAll } from "../gpu/buffer.ts";
import { type GpuContext, GpuMemoryError } from "../gpu/context.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import { ProgramCache } from "../gpu/program.ts";
import { Recorder } from "../gpu/recorder.ts";
import type { Weight } from "../gpu/weight.ts";
import type { Clock } from "../platform/platform.ts";
import type { KernelContext } from "./context.ts";
import { INCLUDES } from "./includes.ts";
import { matvec } from "./matvec.ts";
import { projection } from "./projection.ts";
import type { Tuning } from "./tuning.ts";

/** Measured speeds. */
export interface DeviceSpeed {
  /** Weights read by a decode step, 10^9 bytes a second. */
  readonly readGBps: number;
  /** A prefill step's matrix multiplications in f32, 10^9 operations a second. */
  readonly matmulGflops: number;
}

/** Square f32 matrices by their rows. */
interface ProbeScale {
  readonly readRows: number;
  readonly matmulRows: number;
  readonly matmulTokens: number;
}

const HARDWARE: ProbeScale = { readRows: 2048, matmulRows: 1024, matmulTokens: 256 };
/** A few ms a run, on two cores. */
const SOFTWARE: ProbeScale = { readRows: 1024, matmulRows: 256, matmulTokens: 64 };
/** Matrices of 64 MiB, several in turn, which no cache holds: for devices that are fast. */
const LARGE_READ_ROWS = 4096;
const LARGE_READ_MATRICES = 3;
const LARGE_READ_GBPS = 150;

/** Shares of the time there is, compilation included. */
const READ_MS = 800;
const LARGE_READ_MS = 1200;
const TOTAL_MS = 1600;
/** Work of one submit: far from any watchdog, long beside the wait for it. */
const SUBMIT_MS = 40;
const MAX_DISPATCHES = 512;
/** From one round to the next: a coarse clock must not lead to a long submit. */
const MAX_GROWTH = 8;
/** What a coarse clock may show as 0. */
const SHORTEST_MS = 0.01;
/** After the first one, in which the driver compiles what it had put off. */
const MIN_ROUNDS = 3;
const MAX_ROUNDS = 6;

/**
 * Measures within 2 s: what is short of time gets three rounds of a few ms. Takes about 30 MiB of
 * GPU memory, 200 MiB more on a fast device that has them, 64 MiB at most in one buffer. Throws a
 * ShaderError, or a GpuMemoryError when there is not even that.
 */
export async function probeDevice(
  context: GpuContext,
  { tuning, clock }: { readonly tuning: Tuning; readonly clock: Clock },
): Promise<DeviceSpeed> {
  const scale = context.capabilities.isSoftware ? SOFTWARE : HARDWARE;
  const startMs = clock.now();
  const probe = new Probe(context, { tuning, clock });
  try {
    let readGBps = await probe.read({ numRows: scale.readRows, numMatrices: 1 }, startMs + READ_MS);
    if (readGBps > LARGE_READ_GBPS && clock.now() < startMs + LARGE_READ_MS) {
      const large = { numRows: LARGE_READ_ROWS, numMatrices: LARGE_READ_MATRICES };
      readGBps = await probe.read(large, startMs + LARGE_READ_MS)
        .catch((error: unknown) => {
          if (error instanceof GpuMemoryError) return readGBps;
          throw error;
        });
    }
    return { readGBps, matmulGflops: await probe.multiply(scale, startMs + TOTAL_MS) };
  } finally {
    probe.destroy();
  }
}

class Probe {
  readonly #context: GpuContext;
  readonly #clock: Clock;
  readonly #kernels: Omit<KernelContext, "step">;
  readonly #buffers: GPUBuffer[] = [];

  constructor(context: GpuContext, { tuning, clock }: { tuning: Tuning; clock: Clock }) {
    this.#context = context;
    this.#clock = clock;
    const programs = new ProgramCache(context, INCLUDES);
    this.#kernels = { programs, capabilities: context.capabilities, tuning };
  }

  /** GB/s over all matrices in turn. */
  async read(
    { numRows, numMatrices }: { readonly numRows: number; readonly numMatrices: number },
    endMs: number,
  ): Promise<number> {
    const kernels = await this.#withStep(1);
    const x = await this.#buffer(numRows * 4);
    const y = await this.#buffer(numRows * 4);
    const dispatches: Dispatch[] = [];
    for (let i = 0; i < numMatrices; i++) {
      const weight = await this.#matrix(numRows);
      dispatches.push(...matvec(kernels, { weight, x, y, numRows: 1 }));
    }
    const ms = await this.#fastest(dispatches, endMs);
    return numMatrices * numRows ** 2 * 4 / ms / 1e6;
  }

  /** GFLOP/s of many tokens, by the kernel that a prefill takes here. */
  async multiply({ matmulRows, matmulTokens }: ProbeScale, endMs: number): Promise<number> {
    const kernels = await this.#withStep(matmulTokens);
    const x = await this.#buffer(matmulTokens * matmulRows * 4);
    const y = await this.#buffer(matmulTokens * matmulRows * 4);
    const weight = await this.#matrix(matmulRows);
    const dispatches = projection(kernels, { weight, x, y, numRows: matmulTokens });
    const ms = await this.#fastest(dispatches, endMs);
    return 2 * matmulTokens * matmulRows ** 2 / ms / 1e6;
  }

  destroy(): void {
    destroyAll(this.#context, this.#buffers);
  }

  /** Time of the dispatches once: the best of a few rounds, after `endMs` only those that must be. */
  async #fastest(dispatches: readonly Dispatch[], endMs: number): Promise<number> {
    await this.#kernels.programs.compiled();
    const recorder = new Recorder(this.#context);
    const { queue } = this.#context.device;
    const runFor = async (numRuns: number) => {
      const recording = recorder.record(Array.from({ length: numRuns }, () => dispatches).flat());
      const startMs = this.#clock.now();
      recorder.submit(recording);
      await this.#context.wait(queue.onSubmittedWorkDone(), "device probe");
      return Math.max(this.#clock.now() - startMs, SHORTEST_MS) / numRuns;
    };
    await runFor(1);
    let bestMs = await runFor(1);
    let numRuns = 1;
    for (let round = 1; round < MAX_ROUNDS; round++) {
      if (round >= MIN_ROUNDS && this.#clock.now() >= endMs) break;
      numRuns = Math.ceil(
        Math.min(SUBMIT_MS / bestMs, MAX_GROWTH * numRuns, MAX_DISPATCHES / dispatches.length),
      );
      bestMs = Math.min(bestMs, await runFor(numRuns));
    }
    return bestMs;
  }

  async #withStep(numTokens: number): Promise<KernelContext> {
    const step = await this.#buffer(16, "uniform");
    this.#context.device.queue.writeBuffer(step, 0, Uint32Array.of(numTokens, 0, 0, 0));
    return { ...this.#kernels, step };
  }

  async #matrix(numRows: number): Promise<Weight> {
    const part = { format: "f32", startRow: 0, numRows } as const;
    const buffer = await this.#buffer(numRows ** 2 * 4);
    return { numRows, numCols: numRows, parts: [{ ...part, buffer, planeWords: [0] }] };
  }

  /** Zeros: what is multiplied costs no time. */
  async #buffer(sizeBytes: number, role: "storage" | "uniform" = "storage"): Promise<GPUBuffer> {
    const buffer = await allocate(this.#context, { label: "device probe", sizeBytes, role });
    this.#buffers.push(buffer);
    return buffer;
  }
}
