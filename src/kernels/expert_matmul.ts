import source from "../../shaders/expert_matmul.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";
import { activationConstants, type ExpertCall, expertConstants } from "./expert_call.ts";
import { mostTiles, TILE_TOKENS } from "./sort_experts.ts";

/** Rows of an expert's matrix that a workgroup computes. */
const TILE_ROWS = 64;

/**
 * Experts' matrices on the tokens that chose them, each weight read once for a tile of tokens. What
 * is "gate-up" computes what `expertGateUp` does; what is "down" leaves the sum over a token's
 * experts to `combineExperts`: x f32 [numTokens, numExpertsPerToken, expertSize] to y f32
 * [numTokens, numExpertsPerToken, hiddenSize]. One dispatch for each part of the weight.
 */
export function expertMatmul(
  kernels: KernelContext,
  call: Omit<ExpertCall, "experts"> & {
    readonly kind: "gate-up" | "down";
    /** From `sortExperts`. */
    readonly pairs: GPUBuffer;
    readonly tiles: GPUBuffer;
  },
): Dispatch[] {
  const { moe, weight, numTokens } = call;
  const numRows = weight.numRows / moe.numExperts;
  const isGated = call.kind === "gate-up";
  return weight.parts.map((part) => ({
    program: kernels.programs.get({ name: "expert_matmul", source }, {
      ...expertConstants(call, part),
      ...(isGated ? activationConstants(moe) : { EXPERT_ROWS: numRows }),
      GATED: isGated,
      TILE_ROWS,
      TILE_TOKENS,
    }),
    bindings: [
      kernels.step,
      ...[part.buffer, call.x, call.pairs, call.tiles, call.y],
      ...(call.bias ? [call.bias] : []),
    ],
    workgroups: [divideUp(numRows, TILE_ROWS), mostTiles(moe, numTokens), 1],
  }));
}
