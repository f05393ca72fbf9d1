import { allocate } from "../gpu/buffer.ts";
import type { GpuContext } from "../gpu/context.ts";

/** Buffers of one round of cases. */
export class SelfTestBench {
  readonly #context: GpuContext;
  readonly #buffers: GPUBuffer[] = [];

  constructor(context: GpuContext) {
    this.#context = context;
  }

  async upload(
    words: Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>,
    role: "storage" | "uniform" = "storage",
  ): Promise<GPUBuffer> {
    const request = { label: "self-test", sizeBytes: words.byteLength, role };
    const buffer = await allocate(this.#context, request);
    this.#buffers.push(buffer);
    this.#context.device.queue.writeBuffer(buffer, 0, words);
    return buffer;
  }

  /** Starts as NaN, so that what a kernel leaves out is wrong. */
  output(numWords: number): Promise<GPUBuffer> {
    return this.upload(new Float32Array(numWords).fill(NaN));
  }

  destroy(): void {
    for (const buffer of this.#buffers) buffer.destroy();
  }
}
