import type { LatentAttentionConfig, ModelConfig } from "../../src/core.ts";
import type { LatentCache } from "../../src/kernels/latent_cache.ts";
import { latentBytes } from "../../src/kernels/latent_cache.ts";
import type { Operands } from "../operands.ts";

/** The latent attention of a model, or, for one that has none, DeepSeek's in its number of heads. */
export function latentsOf(
  { latentAttention, numHeads }: ModelConfig,
): LatentAttentionConfig & { readonly numHeads: number } {
  const sizes = latentAttention ?? {
    queryRank: null,
    latentDim: 512,
    nopeDim: 128,
    ropeDim: 64,
    valueDim: 128,
    scoreScale: 1 / Math.sqrt(192),
  };
  return { ...sizes, numHeads };
}

/** Rows of kv_b: keys and values of all heads. */
export function keyValueRows(
  { numHeads, nopeDim, valueDim }: ReturnType<typeof latentsOf>,
): number {
  return numHeads * (nopeDim + valueDim);
}

/** Latents for `numBlocks` blocks of one layer. */
export async function latentCache(
  operands: Operands,
  { latentDim, ropeDim }: Pick<LatentCache, "latentDim" | "ropeDim">,
  room: { readonly isF16: boolean; readonly numBlocks: number },
): Promise<LatentCache> {
  const shape = { latentDim, ropeDim, isF16: room.isF16 };
  return { ...shape, latents: await operands.floats(latentBytes(shape, room.numBlocks) / 4) };
}
