import { type Batch, numBatchTokens, type Shard } from "../../src/core.ts";
import { allocate } from "../../src/gpu/buffer.ts";
import type { GpuContext } from "../../src/gpu/context.ts";
import { ReadbackRing } from "../../src/gpu/readback_ring.ts";
import type { Stage, StageOutput } from "../../src/stage/stage.ts";

/** What a CopyStage is made for. */
export interface CopyStageOptions {
  readonly shard: Shard;
  readonly hiddenSize: number;
  readonly maxBatchTokens: number;
}

/** A stage without layers: hidden states go to the GPU, are copied there, and come back. */
export class CopyStage implements Stage {
  readonly shard: Shard;
  readonly #context: GpuContext;
  readonly #hiddenSize: number;
  readonly #ring: ReadbackRing;
  readonly #input: GPUBuffer;
  readonly #output: GPUBuffer;

  private constructor(
    context: GpuContext,
    { shard, hiddenSize }: CopyStageOptions,
    buffers: { readonly input: GPUBuffer; readonly output: GPUBuffer },
  ) {
    this.shard = shard;
    this.#context = context;
    this.#hiddenSize = hiddenSize;
    this.#ring = new ReadbackRing(context);
    this.#input = buffers.input;
    this.#output = buffers.output;
  }

  static async create(context: GpuContext, options: CopyStageOptions): Promise<CopyStage> {
    const sizeBytes = options.maxBatchTokens * options.hiddenSize * 4;
    return new CopyStage(context, options, {
      input: await allocate(context, { label: "hidden states in", sizeBytes }),
      output: await allocate(context, { label: "hidden states out", sizeBytes }),
    });
  }

  async forward(batch: Batch, hidden: Float32Array | null): Promise<StageOutput> {
    const { device } = this.#context;
    const sizeBytes = numBatchTokens(batch) * this.#hiddenSize * 4;
    const readback = await this.#ring.reserve(this.#output, sizeBytes);
    device.queue.writeBuffer(this.#input, 0, hidden as Float32Array<ArrayBuffer>);
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(this.#input, 0, this.#output, 0, sizeBytes);
    const { source, destination } = readback.copy;
    encoder.copyBufferToBuffer(source, 0, destination, 0, sizeBytes);
    device.queue.submit([encoder.finish()]);
    return { type: "hidden", values: new Float32Array(await readback.read()) };
  }

  close(): void {
    this.#ring.destroy();
    this.#input.destroy();
    this.#output.destroy();
  }
}
