import source from "../../shaders/expert_down.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import { foldWorkgroups, type KernelContext } from "./context.ts";
import { type ExpertCall, expertConstants, laneConstants } from "./expert_call.ts";

/**
 * Adds what each token's experts give, by weight, to y f32 [numTokens, hiddenSize]: weight
 * [numExperts * hiddenSize, expertSize] on x f32 [numTokens, numExpertsPerToken, expertSize]. One
 * dispatch for each part of the weight; a token's bits do not depend on the others.
 */
export function expertDown(
  kernels: KernelContext,
  call: ExpertCall & {
    /** f32 [numTokens, numExpertsPerToken]. */
    readonly weights: GPUBuffer;
  },
): Dispatch[] {
  const { moe, weight, numTokens } = call;
  const lanes = laneConstants(kernels);
  const numRows = weight.numRows / moe.numExperts;
  return weight.parts.map((part) => ({
    program: kernels.programs.get({ name: "expert_down", source }, {
      ...expertConstants(call, part),
      ...lanes,
      OUT_ROWS: numRows,
    }),
    bindings: [
      kernels.step,
      ...[part.buffer, call.x, call.experts, call.weights, call.y],
      ...(call.bias ? [call.bias] : []),
    ],
    workgroups: foldWorkgroups(divideUp(numRows, lanes.WORKGROUP_SIZE / lanes.LANES), numTokens),
  }));
}
