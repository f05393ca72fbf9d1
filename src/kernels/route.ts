import source from "../../shaders/route.wgsl" with { type: "text" };
import type { MoeConfig } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import { f32Literal } from "../gpu/f32_literal.ts";
import type { KernelContext } from "./context.ts";

/** From this many experts on, a GPU ranks them faster with four times the threads. */
const MANY_EXPERTS = 65;

/** Chooses the experts of each token, best first, and weighs them. */
export function route(
  kernels: KernelContext,
  call: {
    readonly moe: MoeConfig;
    /** f32 [numTokens, numExperts]. */
    readonly logits: GPUBuffer;
    /** f32 [numExperts]. */
    readonly correctionBias: GPUBuffer | null;
    /** u32 [numTokens, numExpertsPerToken]. */
    readonly experts: GPUBuffer;
    /** f32 [numTokens, numExpertsPerToken]. */
    readonly weights: GPUBuffer;
    readonly numTokens: number;
  },
): Dispatch {
  const { moe, correctionBias } = call;
  const { numExperts, groups } = moe;
  const isSmall = kernels.capabilities.isSoftware || numExperts < MANY_EXPERTS;
  return {
    program: kernels.programs.get({ name: "route", source }, {
      NUM_EXPERTS: numExperts,
      PER_TOKEN: moe.numExpertsPerToken,
      SCORING: moe.scoring === "softmax-of-chosen" ? "chosen" : moe.scoring,
      HAS_CORRECTION: correctionBias !== null,
      GROUPED: groups !== null,
      ...(groups && {
        NUM_GROUPS: groups.numGroups,
        NUM_CHOSEN_GROUPS: groups.numChosen,
        GROUP_SCORE: groups.score === "max" ? "max" : "top2",
      }),
      NORMALISED: moe.isNormalised,
      NORM_EPSILON: f32Literal(moe.normEpsilon),
      SCALE: f32Literal(moe.scale),
      WORKGROUP_SIZE: isSmall ? 64 : 256,
    }),
    bindings: [
      kernels.step,
      ...[call.logits, call.experts, call.weights],
      ...(correctionBias ? [correctionBias] : []),
    ],
    workgroups: [call.numTokens, 1, 1],
  };
}
