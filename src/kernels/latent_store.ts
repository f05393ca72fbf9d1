import source from "../../shaders/latent_store.wgsl" with { type: "text" };
import type { Dispatch } from "../gpu/dispatch.ts";
import { f32Literal } from "../gpu/f32_literal.ts";
import type { KernelContext } from "./context.ts";
import { type LatentCache, latentConstants } from "./latent_cache.ts";

/** From this many elements on, a GPU reads a latent faster with four times the threads. */
const WIDE_LATENT = 256;

/** Normalises every token's latent, turns its key, and writes both to its slot of the cache. */
export function latentStore(
  kernels: KernelContext,
  call: {
    readonly cache: LatentCache;
    /** TokenRow [numTokens]. */
    readonly tokenRows: GPUBuffer;
    /** f32 [latentDim]. */
    readonly normWeight: GPUBuffer;
    readonly eps: number;
    /** (cos, sin) f32 [positions, ropeDim / 2, 2], from `ropeAngles`. */
    readonly angles: GPUBuffer;
    /** Pairs are (2i, 2i + 1), else (i, i + ropeDim / 2). */
    readonly isInterleaved: boolean;
    /** f32 [numTokens, latentDim + ropeDim]. */
    readonly projected: GPUBuffer;
    readonly numTokens: number;
  },
): Dispatch {
  const { cache } = call;
  const { subgroupSize, isSoftware } = kernels.capabilities;
  return {
    program: kernels.programs.get({ name: "latent_store", source }, {
      ...latentConstants(cache),
      EPS: f32Literal(call.eps),
      INTERLEAVED: call.isInterleaved,
      WORKGROUP_SIZE: isSoftware || cache.latentDim < WIDE_LATENT ? 64 : 256,
      SUBGROUPS: kernels.tuning.useSubgroups && subgroupSize > 0,
      SUBGROUP_SIZE: subgroupSize,
    }),
    bindings: [
      kernels.step,
      call.tokenRows,
      call.normWeight,
      call.angles,
      call.projected,
      cache.latents,
    ],
    workgroups: [1, call.numTokens, 1],
  };
}
