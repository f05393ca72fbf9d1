import { BLOCK_SIZE } from "../../src/core.ts";
import type { AttentionCall } from "../../src/kernels/attention_call.ts";
import type { AttentionInputs, CacheShape } from "../reference.ts";
import type { TestGpu } from "./gpu.ts";
import { Random } from "./random.ts";

/** Consecutive tokens of one sequence in a batch. */
export interface TestSlice {
  /** Position of its first token; everything before it is in the cache. */
  readonly start: number;
  readonly numTokens: number;
}

/** What attention is asked for. */
export interface AttentionCase {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly isF16: boolean;
  readonly window?: number;
  /** One score of each head that has no value. */
  readonly sinks?: readonly number[];
  readonly slices: readonly TestSlice[];
  /** Order of blocks in the pool; the contents of a sequence do not depend on it. */
  readonly blockSeed?: number;
}

/** A case with random queries and a cache whose unused slots are NaN. */
export class AttentionSetup {
  readonly inputs: AttentionInputs;
  readonly #case: AttentionCase;
  readonly #words: { k: Uint32Array<ArrayBuffer>; v: Uint32Array<ArrayBuffer> };

  constructor(test: AttentionCase) {
    const { numHeads, numKvHeads, headDim, slices } = test;
    const shape = { numKvHeads, headDim };
    const blockTables = shuffledTables(test);
    const numBlocks = Math.max(...blockTables.flat()) + 1;
    const k = new PagedValues(shape, numBlocks, test.isF16);
    const v = new PagedValues(shape, numBlocks, test.isF16);
    slices.forEach(({ start, numTokens }, sequence) => {
      // Contents follow from the position alone, so that a sequence can be built again elsewhere.
      for (let position = 0; position < start + numTokens; position++) {
        const block = blockTables[sequence]![Math.floor(position / BLOCK_SIZE)]!;
        const random = new Random(position * 7919 + start);
        k.fill(block, position % BLOCK_SIZE, random);
        v.fill(block, position % BLOCK_SIZE, random);
      }
    });
    const stride = (numHeads + 2 * numKvHeads) * headDim;
    const tokens = slices.flatMap(({ start, numTokens }, sequence) =>
      Array.from({ length: numTokens }, (_, i) => ({ position: start + i, sequence }))
    );
    const qkv = new Float32Array(tokens.length * stride);
    tokens.forEach(({ position, sequence }, token) => {
      const random = new Random(position * 31 + slices[sequence]!.start);
      qkv.set(random.floats(stride, 2), token * stride);
    });
    this.#case = test;
    this.#words = { k: k.words(), v: v.words() };
    this.inputs = {
      shape,
      k: k.values,
      v: v.values,
      blockTables,
      qkv,
      stride,
      numHeads,
      scale: 1 / Math.sqrt(headDim),
      window: test.window ?? null,
      sinks: test.sinks && Float32Array.from(test.sinks),
      tokens,
    };
  }

  /** The operands on the GPU; `out` is poisoned. */
  async upload(gpu: TestGpu): Promise<AttentionCall> {
    const { shape, blockTables, qkv, stride, numHeads, scale, window, tokens } = this.inputs;
    const sinks = this.#case.sinks && Float32Array.from(this.#case.sinks);
    // A constant of the program: the same for all cases, so that they share programs.
    const maxBlocks = 13;
    const tables = new Uint32Array(blockTables.length * maxBlocks);
    blockTables.forEach((table, sequence) => tables.set(table, sequence * maxBlocks));
    return {
      cache: {
        ...shape,
        isF16: this.#case.isF16,
        k: await gpu.upload(this.#words.k),
        v: await gpu.upload(this.#words.v),
      },
      blockTables: await gpu.upload(tables),
      maxBlocks,
      qkv: await gpu.upload(qkv as Float32Array<ArrayBuffer>),
      stride,
      out: await gpu.output(tokens.length * numHeads * shape.headDim),
      numHeads,
      scale,
      window,
      sinks: sinks ? await gpu.upload(sinks) : null,
    };
  }
}

/** Tables over a pool that is twice as large as needed, in random order. */
function shuffledTables({ slices, blockSeed = 1 }: AttentionCase): number[][] {
  const counts = slices.map(({ start, numTokens }) => Math.ceil((start + numTokens) / BLOCK_SIZE));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const pool = new Random(blockSeed).shuffled(Array.from({ length: 2 * total }, (_, i) => i));
  return counts.map((count) => pool.splice(0, count));
}

/** K or V of all blocks, f32 or f16, NaN until filled. */
class PagedValues {
  readonly values: Float32Array<ArrayBuffer>;
  readonly #shape: CacheShape;
  readonly #halves: Uint16Array<ArrayBuffer> | null;

  constructor(shape: CacheShape, numBlocks: number, isF16: boolean) {
    const length = numBlocks * shape.numKvHeads * BLOCK_SIZE * shape.headDim;
    this.#shape = shape;
    this.values = new Float32Array(length).fill(NaN);
    this.#halves = isF16 ? new Uint16Array(length).fill(0x7e00) : null;
  }

  fill(block: number, slot: number, random: Random): void {
    const { numKvHeads, headDim } = this.#shape;
    for (let kvHead = 0; kvHead < numKvHeads; kvHead++) {
      const { bits, values } = random.halves(headDim);
      const at = ((block * numKvHeads + kvHead) * BLOCK_SIZE + slot) * headDim;
      this.#halves?.set(bits, at);
      // Values that f16 cannot hold, where they need not be f16.
      const scale = this.#halves === null ? Math.fround(1.1) : 1;
      this.values.set(values.map((value) => value * scale), at);
    }
  }

  words(): Uint32Array<ArrayBuffer> {
    return new Uint32Array((this.#halves ?? this.values).buffer);
  }
}
