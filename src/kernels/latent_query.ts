import source from "../../shaders/latent_query.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";
import { latentHeadConstants, type LatentHeads } from "./latent_heads.ts";

/** Most tokens that share one read of the weights. */
const TOKENS = 4;
/** Columns that one thread sums, and most threads side by side. */
const UNIT_COLS = 8;
const MAX_UNIT_THREADS = 64;
/** Groups of threads that share the rows of a head, so that few heads fill a large device. */
const SLICES = 4;

/**
 * Turns queries of heads into queries of latents: one dispatch for each part of the weight. The order
 * of additions is the same for every number of tokens.
 */
export function latentQuery(
  kernels: KernelContext,
  call: LatentHeads & {
    /** TokenRow [numTokens]. */
    readonly tokenRows: GPUBuffer;
    /** (cos, sin) f32 [positions, ropeDim / 2, 2], from `ropeAngles`. */
    readonly angles: GPUBuffer;
    readonly isInterleaved: boolean;
    /** f32 [numTokens, numHeads, nopeDim + ropeDim], not yet turned. */
    readonly q: GPUBuffer;
    /** f32 [numTokens, numHeads, latentWidth]. */
    readonly out: GPUBuffer;
    readonly numTokens: number;
  },
): Dispatch[] {
  const units = divideUp(call.weight.numCols, UNIT_COLS);
  const unitThreads = Math.min(MAX_UNIT_THREADS, units);
  const tokens = call.numTokens === 1 ? 1 : TOKENS;
  return call.weight.parts.map((part, i) => ({
    program: kernels.programs.get({ name: "latent_query", source }, {
      ...latentHeadConstants(call, part),
      INTERLEAVED: call.isInterleaved,
      TOKENS: tokens,
      UNIT_THREADS: unitThreads,
      SLICES: kernels.capabilities.isSoftware ? 1 : SLICES,
      ACCUMULATE: i > 0,
    }),
    bindings: [kernels.step, call.tokenRows, part.buffer, call.angles, call.q, call.out],
    workgroups: [
      call.numHeads * divideUp(units, unitThreads),
      divideUp(call.numTokens, tokens),
      1,
    ],
  }));
}
