import { BLOCK_SIZE } from "../core.ts";
import type { Constants } from "../gpu/preprocess.ts";

/** K and V of one layer in GPU memory: each [numBlocks, numKvHeads, BLOCK_SIZE, headDim]. */
export interface KvCache {
  readonly k: GPUBuffer;
  readonly v: GPUBuffer;
  readonly numKvHeads: number;
  readonly headDim: number;
  /** Elements are f16, two in a word, else f32. */
  readonly isF16: boolean;
}

/** Bytes of K or V for `numBlocks` blocks of one layer. */
export function kvBytes(
  shape: Pick<KvCache, "numKvHeads" | "headDim" | "isF16">,
  numBlocks: number,
): number {
  return numBlocks * shape.numKvHeads * BLOCK_SIZE * shape.headDim * (shape.isF16 ? 2 : 4);
}

/** The constants of shaders/include/kv_*.wgsl. */
export function kvConstants(cache: KvCache): Constants {
  return {
    NUM_KV_HEADS: cache.numKvHeads,
    HEAD_DIM: cache.headDim,
    BLOCK_SIZE,
    KV_F16: cache.isF16,
  };
}
