import source from "../../shaders/latent_attention.wgsl" with { type: "text" };
import type { Dispatch } from "../gpu/dispatch.ts";
import { f32Literal } from "../gpu/f32_literal.ts";
import type { KernelContext } from "./context.ts";
import { type LatentCache, latentConstants, latentWidth } from "./latent_cache.ts";

/** Elements of queries that fit a workgroup's memory beside their scores: 12 KiB of f32. */
const MAX_QUERY_ELEMENTS = 3072;
/** More heads share each read of a row, but leave fewer workgroups. */
const MAX_HEADS = 4;

/** Attention of every token over the latents of its sequence, the token's own included. */
export function latentAttention(
  kernels: KernelContext,
  call: {
    readonly cache: LatentCache;
    /** TokenRow [numTokens]. */
    readonly tokenRows: GPUBuffer;
    /** u32 [sequences, maxBlocks]. */
    readonly blockTables: GPUBuffer;
    readonly maxBlocks: number;
    /**
     * f32 [numTokens, numHeads, latentWidth]: queries, whose first latentDim elements are
     * replaced by the latents that the head saw.
     */
    readonly heads: GPUBuffer;
    readonly numHeads: number;
    /** Factor of the scores. */
    readonly scale: number;
    readonly numTokens: number;
  },
): Dispatch {
  const { cache, numHeads } = call;
  const limit = Math.min(MAX_HEADS, Math.floor(MAX_QUERY_ELEMENTS / latentWidth(cache)));
  const heads = largestDivisor(numHeads, limit);
  return {
    program: kernels.programs.get({ name: "latent_attention", source }, {
      ...latentConstants(cache),
      NUM_HEADS: numHeads,
      HEADS: heads,
      MAX_BLOCKS: call.maxBlocks,
      SCALE: f32Literal(call.scale),
      TILE: kernels.capabilities.isSoftware ? 64 : 128,
    }),
    bindings: [kernels.step, call.tokenRows, call.blockTables, cache.latents, call.heads],
    workgroups: [numHeads / heads, call.numTokens, 1],
  };
}

function largestDivisor(value: number, limit: number): number {
  for (let divisor = Math.min(value, Math.max(1, limit)); divisor > 1; divisor--) {
    if (value % divisor === 0) return divisor;
  }
  return 1;
}
