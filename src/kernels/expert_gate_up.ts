import source from "../../shaders/expert_gate_up.wgsl" with { type: "text" };
import { type Dispatch, divideUp, MAX_WORKGROUPS } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";
import {
  activationConstants,
  type ExpertCall,
  expertConstants,
  laneConstants,
} from "./expert_call.ts";

/**
 * What lies between the matrices of each token's experts: weight [numExperts * 2 * expertSize,
 * hiddenSize] on x f32 [numTokens, hiddenSize], then the activation, to y f32
 * [numTokens, numExpertsPerToken, expertSize]. One dispatch for each part of the weight; a token's
 * bits do not depend on the others.
 */
export function expertGateUp(kernels: KernelContext, call: ExpertCall): Dispatch[] {
  const { moe, weight, numTokens } = call;
  const lanes = laneConstants(kernels);
  const numPairs = numTokens * moe.numExpertsPerToken;
  const folds = divideUp(numPairs, MAX_WORKGROUPS);
  return weight.parts.map((part) => ({
    program: kernels.programs.get({ name: "expert_gate_up", source }, {
      ...expertConstants(call, part),
      ...activationConstants(moe),
      ...lanes,
    }),
    bindings: [
      kernels.step,
      ...[part.buffer, call.x, call.experts, call.y],
      ...(call.bias ? [call.bias] : []),
    ],
    workgroups: [
      divideUp(moe.expertSize, lanes.WORKGROUP_SIZE / lanes.LANES),
      divideUp(numPairs, folds),
      folds,
    ],
  }));
}
