import source from "../../shaders/latent_value.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import { foldWorkgroups, type KernelContext } from "./context.ts";
import { latentHeadConstants, type LatentHeads } from "./latent_heads.ts";

/** Most tokens that share one read of the weights. */
const TOKENS = 4;

/**
 * Values of heads from the latents that they saw: one dispatch for each part of the weight. The order
 * of additions is the same for every number of tokens.
 */
export function latentValue(
  kernels: KernelContext,
  call: LatentHeads & {
    /** f32 [numTokens, numHeads, latentWidth]: what `latentAttention` left. */
    readonly seen: GPUBuffer;
    /** f32 [numTokens, numHeads, valueDim]. */
    readonly y: GPUBuffer;
    readonly numTokens: number;
  },
): Dispatch[] {
  const { tuning, capabilities } = kernels;
  const lanes = tuning.matvecLanes;
  const workgroupSize = Math.max(64, lanes);
  const tokens = call.numTokens === 1 ? 1 : TOKENS;
  return call.weight.parts.map((part) => ({
    program: kernels.programs.get({ name: "latent_value", source }, {
      ...latentHeadConstants(call, part),
      TOKENS: tokens,
      LANES: lanes,
      WORKGROUP_SIZE: workgroupSize,
      SUBGROUPS: tuning.useSubgroups && lanes > 1 && lanes === capabilities.subgroupSize,
    }),
    bindings: [kernels.step, part.buffer, call.seen, call.y],
    workgroups: foldWorkgroups(
      divideUp(call.numHeads * call.valueDim, workgroupSize / lanes),
      divideUp(call.numTokens, tokens),
    ),
  }));
}
