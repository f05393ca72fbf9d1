import { BLOCK_SIZE } from "../core.ts";
import type { Constants } from "../gpu/preprocess.ts";

/**
 * What multi-head latent attention (arXiv 2405.04434) keeps of one layer: for each token a latent,
 * from which every head's K and V follow, and the rotated part of the key that all heads share.
 * [numBlocks, BLOCK_SIZE, latentDim + ropeDim].
 */
export interface LatentCache {
  readonly latents: GPUBuffer;
  /** Both are multiples of 4. */
  readonly latentDim: number;
  readonly ropeDim: number;
  /** Elements are f16, two in a word, else f32. */
  readonly isF16: boolean;
}

/** Bytes for `numBlocks` blocks of one layer. */
export function latentBytes(
  { latentDim, ropeDim, isF16 }: Pick<LatentCache, "latentDim" | "ropeDim" | "isF16">,
  numBlocks: number,
): number {
  return numBlocks * BLOCK_SIZE * (latentDim + ropeDim) * (isF16 ? 2 : 4);
}

/** The constants of a shader that binds the cache. */
export function latentConstants(cache: LatentCache): Constants {
  return {
    LATENT_DIM: cache.latentDim,
    ROPE_DIM: cache.ropeDim,
    BLOCK_SIZE,
    KV_F16: cache.isF16,
  };
}
