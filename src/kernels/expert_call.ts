import type { MoeConfig } from "../core.ts";
import { f32Literal } from "../gpu/f32_literal.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { Weight, WeightPart } from "../gpu/weight.ts";
import type { KernelContext } from "./context.ts";
import { weightConstants } from "./projection_call.ts";

/** The matrices of all experts, applied to the tokens that chose them. */
export interface ExpertCall {
  readonly moe: MoeConfig;
  /** Experts under each other; a part holds whole ones. */
  readonly weight: Weight;
  /** f32 [weight.numRows]. */
  readonly bias: GPUBuffer | null;
  readonly x: GPUBuffer;
  /** u32 [numTokens, numExpertsPerToken]. */
  readonly experts: GPUBuffer;
  readonly y: GPUBuffer;
  readonly numTokens: number;
}

/** The constants of one part that every expert kernel has. */
export function expertConstants(
  call: Pick<ExpertCall, "moe" | "weight" | "bias">,
  part: WeightPart,
): Constants {
  const { moe, weight } = call;
  return {
    ...weightConstants(part, weight.numCols),
    FIRST_EXPERT: part.startRow / (weight.numRows / moe.numExperts),
    PER_TOKEN: moe.numExpertsPerToken,
    HAS_BIAS: call.bias !== null,
  };
}

/** The constants of shaders/include/expert_activation.wgsl. */
export function activationConstants({ expertSize, activation }: MoeConfig): Constants {
  const isClamped = activation.type === "clamped-swiglu";
  return {
    EXPERT_SIZE: expertSize,
    CLAMPED: isClamped,
    INTERLEAVED: isClamped && activation.isInterleaved,
    ...(isClamped && {
      LIMIT: f32Literal(activation.limit),
      ALPHA: f32Literal(activation.alpha),
    }),
  };
}

/** The constants of shaders/include/lane_sum.wgsl: sums are split as in `matvec`. */
export function laneConstants({ tuning, capabilities }: KernelContext) {
  const lanes = tuning.matvecLanes;
  return {
    LANES: lanes,
    WORKGROUP_SIZE: Math.max(64, lanes),
    SUBGROUPS: tuning.useSubgroups && lanes > 1 && lanes === capabilities.subgroupSize,
  };
}
