import type { HfConfig, SampleRequest, WeightFormat } from "../src/core.ts";
import { BLOCK_SIZE } from "../src/core.ts";
import { allocate } from "../src/gpu/buffer.ts";
import type { Weight } from "../src/gpu/weight.ts";
import { kvBytes, type KvCache } from "../src/kernels/kv_cache.ts";
import { type BatchLayout, layoutBatch } from "../src/stage/batch_layout.ts";
import { WeightLoader } from "../src/stage/weight_loader.ts";
import type { BenchDevice } from "./bench_device.ts";
import { weightBytes } from "./cost.ts";
import { syntheticTensors } from "./synthetic_model.ts";
import { randomTile } from "./weight_tile.ts";

/** Sequences of a batch whose new tokens are the last of `length`. */
export interface BatchShape {
  readonly numSequences: number;
  readonly newTokens: number;
  readonly length: number;
}

/** The tables of a batch on the GPU. */
export interface BatchTables {
  readonly layout: BatchLayout;
  readonly maxBlocks: number;
  readonly tokenIds: GPUBuffer;
  readonly tokenRows: GPUBuffer;
  readonly blockTables: GPUBuffer;
  readonly decodeRows: GPUBuffer;
  readonly tiles: GPUBuffer;
}

const NO_CONFIG: HfConfig = { model_type: "none" };

/** Makes the operands of one case, and frees them all together. */
export class Operands {
  readonly #device: BenchDevice;
  readonly #rotateBytes: number;
  readonly #buffers: GPUBuffer[] = [];

  /** Weights are made in copies of `rotateBytes` together. */
  constructor(device: BenchDevice, rotateBytes: number) {
    this.#device = device;
    this.#rotateBytes = rotateBytes;
  }

  /** f32 [numElements], random in about [-0.02, 0.02]. */
  async floats(numElements: number): Promise<GPUBuffer> {
    const buffer = await this.#allocate(numElements * 4);
    const tile = randomTile("f32");
    for (let at = 0; at < buffer.size; at += tile.length) {
      const length = Math.min(tile.length, buffer.size - at);
      this.#device.context.device.queue.writeBuffer(buffer, at, tile, 0, length);
    }
    return buffer;
  }

  async bytes(data: ArrayBuffer | Uint32Array<ArrayBuffer>): Promise<GPUBuffer> {
    const buffer = await this.#allocate(data.byteLength);
    this.#device.context.device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  }

  /** Zeros. */
  async empty(numBytes: number): Promise<GPUBuffer> {
    return await this.#allocate(numBytes);
  }

  /** Equal matrices of random weights, in whole groups of rows, enough that one was evicted when its turn comes again. */
  async rotatingWeights(
    format: WeightFormat,
    [numRows, numCols]: readonly [number, number],
    groupRows?: number,
  ): Promise<Weight[]> {
    const first = await this.weight(format, [numRows, numCols], groupRows);
    const numCopies = Math.ceil(this.#rotateBytes / weightBytes(format, numRows, numCols));
    const weights = [first];
    while (weights.length < numCopies) weights.push(await this.#copy(first));
    return weights;
  }

  /** A matrix of random weights, by way of the loader that models take. */
  async weight(
    format: WeightFormat,
    [numRows, numCols]: readonly [number, number],
    groupRows = numRows,
  ): Promise<Weight> {
    const names = Array.from({ length: numRows / groupRows }, (_, i) => `weight ${i}`);
    const tensors = new Map(names.map((name) => [name, { format, shape: [groupRows, numCols] }]));
    const source = syntheticTensors(tensors, { name: "random", hfConfig: NO_CONFIG });
    const loader = new WeightLoader(this.#device.context, source);
    const weight = await loader.matrix({
      names,
      numRows,
      numCols,
      ...(names.length > 1 && { groupRows }),
    });
    this.#buffers.push(...weight.parts.map((part) => part.buffer));
    return weight;
  }

  /** K and V for `numBlocks` blocks of one layer. */
  async kvCache(
    shape: { readonly numKvHeads: number; readonly headDim: number },
    numBlocks: number,
  ): Promise<KvCache> {
    const { numKvHeads, headDim } = shape;
    const cache = { numKvHeads, headDim, isF16: this.#device.kernels.tuning.useF16Kv };
    const numElements = kvBytes(cache, numBlocks) / 4;
    return { ...cache, k: await this.floats(numElements), v: await this.floats(numElements) };
  }

  /** Lays a batch out as a stage does, blocks of the sequences interleaved, and sets the step. */
  async batch(
    { numSequences, newTokens, length }: BatchShape,
    { tileRows }: { readonly tileRows: number },
  ): Promise<BatchTables> {
    const maxBlocks = Math.ceil(length / BLOCK_SIZE);
    const numTokens = numSequences * newTokens;
    const layout = layoutBatch(
      {
        stepId: 0,
        slices: Array.from({ length: numSequences }, (_, sequenceId) => ({
          sequenceId,
          slot: sequenceId,
          startPosition: length - newTokens,
          tokenIds: Uint32Array.from({ length: newTokens }, (_, i) => 7 * i + sequenceId),
          blockTable: Uint32Array.from(
            { length: maxBlocks },
            (_, block) => block * numSequences + sequenceId,
          ),
        })),
      },
      {
        numBlocks: numSequences * maxBlocks,
        maxModelLength: length,
        maxBatchTokens: numTokens,
        maxSequences: numSequences,
        numSavedStates: 0,
        maxSamples: 0,
      },
      { maxBlocks, tileRows },
    );
    const { numDecodeRows, numTiles } = layout.shape;
    this.step({ numTokens, numSamples: numSequences, numDecodeRows, numTiles });
    return {
      layout,
      maxBlocks,
      tokenIds: await this.bytes(layout.tokenIds),
      tokenRows: await this.bytes(layout.tokenRows),
      blockTables: await this.bytes(layout.blockTables),
      decodeRows: await this.bytes(layout.decodeRows),
      tiles: await this.bytes(layout.tiles),
    };
  }

  /** Sets the uniform of shaders/include/step.wgsl. */
  step(step: {
    readonly numTokens: number;
    readonly numSamples: number;
    readonly numDecodeRows?: number;
    readonly numTiles?: number;
  }): void {
    const { numTokens, numSamples, numDecodeRows = 0, numTiles = 0 } = step;
    const words = Uint32Array.of(numTokens, numSamples, numDecodeRows, numTiles);
    this.#device.context.device.queue.writeBuffer(this.#device.kernels.step, 0, words);
  }

  destroy(): void {
    for (const buffer of this.#buffers) buffer.destroy();
    this.#buffers.length = 0;
  }

  async #copy(weight: Weight): Promise<Weight> {
    const { device } = this.#device.context;
    const parts = [];
    for (const part of weight.parts) {
      const buffer = await this.#allocate(part.buffer.size);
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(part.buffer, 0, buffer, 0, buffer.size);
      device.queue.submit([encoder.finish()]);
      parts.push({ ...part, buffer });
    }
    return { ...weight, parts };
  }

  async #allocate(sizeBytes: number): Promise<GPUBuffer> {
    const buffer = await allocate(this.#device.context, { label: "bench operand", sizeBytes });
    this.#buffers.push(buffer);
    return buffer;
  }
}

/** A request that draws greedily. */
export const GREEDY: SampleRequest = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  seed: 1,
  tokenIndex: 0,
};
