import source from "../../shaders/sort_experts.wgsl" with { type: "text" };
import type { MoeConfig } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";

/** Tokens that are multiplied with one expert together. */
export const TILE_TOKENS = 32;

/** Bytes of one entry of `tiles`. */
export const TILE_BYTES = 16;

/** Most tiles that the pairs of `numTokens` tokens make. */
export function mostTiles(
  { numExperts, numExpertsPerToken }: Pick<MoeConfig, "numExperts" | "numExpertsPerToken">,
  numTokens: number,
): number {
  const numPairs = numTokens * numExpertsPerToken;
  return Math.floor(numPairs / TILE_TOKENS) + Math.min(numExperts, numPairs);
}

/** Sorts the pairs of tokens and experts by expert, and cuts them into tiles for `expertMatmul`. */
export function sortExperts(
  kernels: KernelContext,
  call: {
    readonly moe: MoeConfig;
    /** u32 [numTokens, numExpertsPerToken]. */
    readonly experts: GPUBuffer;
    /** u32 [numTokens * numExpertsPerToken]. */
    readonly pairs: GPUBuffer;
    /** vec4u [mostTiles]: expert, first of pairs, how many. */
    readonly tiles: GPUBuffer;
  },
): Dispatch {
  return {
    program: kernels.programs.get({ name: "sort_experts", source }, {
      NUM_EXPERTS: call.moe.numExperts,
      PER_TOKEN: call.moe.numExpertsPerToken,
      TILE_TOKENS,
    }),
    bindings: [kernels.step, call.experts, call.pairs, call.tiles],
    workgroups: [1, 1, 1],
  };
}
