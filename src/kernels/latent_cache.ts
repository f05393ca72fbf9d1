import { BLOCK_SIZE } from "../core.ts";
import type { Constants } from "../gpu/preprocess.ts";

/**
 * What multi-head latent attention (arXiv 2405.04434) keeps of one layer: for each token a latent,
 * from which every head's K and V follow, and the rotated part of the key that all heads share.
 * [numBlocks, BLOCK_SIZE, latentWidth].
 */
export interface LatentCache {
  readonly latents: GPUBuffer;
  readonly latentDim: number;
  readonly ropeDim: number;
  /** Elements are f16, two in a word, else f32. */
  readonly isF16: boolean;
}

/** Elements of a row: latent and key each end with zeros up to a multiple of 4. */
export function latentWidth(
  { latentDim, ropeDim }: Pick<LatentCache, "latentDim" | "ropeDim">,
): number {
  return wholeQuads(latentDim) + wholeQuads(ropeDim);
}

/** Bytes for `numBlocks` blocks of one layer. */
export function latentBytes(
  shape: Pick<LatentCache, "latentDim" | "ropeDim" | "isF16">,
  numBlocks: number,
): number {
  return numBlocks * BLOCK_SIZE * latentWidth(shape) * (shape.isF16 ? 2 : 4);
}

/** The constants of a shader that binds the cache. */
export function latentConstants(cache: LatentCache): Constants {
  return {
    LATENT_DIM: cache.latentDim,
    ROPE_DIM: cache.ropeDim,
    ...latentRowConstants(cache),
    BLOCK_SIZE,
    KV_F16: cache.isF16,
  };
}

/** Those of a row: elements of the latent with its zeros, and of the whole. */
export function latentRowConstants(
  shape: Pick<LatentCache, "latentDim" | "ropeDim">,
): Constants {
  return { LATENT_STRIDE: wholeQuads(shape.latentDim), WIDTH: latentWidth(shape) };
}

function wholeQuads(size: number): number {
  return Math.ceil(size / 4) * 4;
}
