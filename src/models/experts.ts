/**
 * What the experts of each token give, added to the residual stream: gathered for a few tokens,
 * grouped for many.
 *
 * @module
 */
import type { ModelConfig, MoeConfig } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import { combineExperts } from "../kernels/combine_experts.ts";
import { expertDown } from "../kernels/expert_down.ts";
import { expertGateUp } from "../kernels/expert_gate_up.ts";
import { expertMatmul } from "../kernels/expert_matmul.ts";
import { sortExperts, TILE_TOKENS } from "../kernels/sort_experts.ts";
import { type LayerRun, operand } from "./architecture.ts";

/** Fewer tokens than these never share their experts' weights. */
const MIN_GROUPED_TOKENS = 16;

/** Tokens of an expert, on average, from which on they are worth a tile. */
const MIN_PAIRS_PER_EXPERT = 2;

/** The experts of a model that has some. */
export function moeOf({ moe, modelType }: ModelConfig): MoeConfig {
  if (moe === null) throw new Error(`Model type "${modelType}" was read without experts`);
  return moe;
}

/** Widths of the buffers that `chosenExperts` needs beside `experts` and `expertWeights`. */
export function expertScratch(config: ModelConfig): Record<string, number> {
  const { numExperts, numExpertsPerToken, expertSize } = moeOf(config);
  return {
    expertGated: numExpertsPerToken * expertSize,
    expertOutputs: numExpertsPerToken * config.hiddenSize,
    expertPairs: numExpertsPerToken,
    // Four words for each of `mostTiles`, in MIN_GROUPED_TOKENS rows at least.
    expertTiles: 4 * (Math.ceil(numExpertsPerToken / TILE_TOKENS) +
      Math.ceil(numExperts / MIN_GROUPED_TOKENS)),
  };
}

/** h += weighted sum of what `experts` make of `normed`. */
export function chosenExperts(run: LayerRun): Dispatch[] {
  return isGrouped(run) ? groupedExperts(run) : gatheredExperts(run);
}

/** Deterministic runs and a few tokens read the weights of each token's experts by themselves. */
function isGrouped({ kernels, config, shape }: LayerRun): boolean {
  const moe = moeOf(config);
  const { numTokens } = shape;
  return !kernels.tuning.isDeterministic && numTokens >= MIN_GROUPED_TOKENS &&
    numTokens * moe.numExpertsPerToken >= MIN_PAIRS_PER_EXPERT * moe.numExperts;
}

function gatheredExperts(run: LayerRun): Dispatch[] {
  const { kernels, scratch, weights: { matrices, vectors } } = run;
  const gated = operand(scratch, "expertGated");
  const call = {
    moe: moeOf(run.config),
    experts: operand(scratch, "experts"),
    numTokens: run.shape.numTokens,
  };
  return [
    ...expertGateUp(kernels, {
      ...call,
      weight: operand(matrices, "expertGateUp"),
      bias: vectors["expertGateUpBias"] ?? null,
      x: operand(scratch, "normed"),
      y: gated,
    }),
    ...expertDown(kernels, {
      ...call,
      weight: operand(matrices, "expertDown"),
      bias: vectors["expertDownBias"] ?? null,
      x: gated,
      weights: operand(scratch, "expertWeights"),
      y: run.hidden,
    }),
  ];
}

/** The same, with tokens sorted by expert, so that tiles of them read its weights once. */
function groupedExperts(run: LayerRun): Dispatch[] {
  const { kernels, config, scratch, shape: { numTokens }, weights: { matrices, vectors } } = run;
  const moe = moeOf(config);
  const gated = operand(scratch, "expertGated");
  const outputs = operand(scratch, "expertOutputs");
  const sorted = {
    pairs: operand(scratch, "expertPairs"),
    tiles: operand(scratch, "expertTiles"),
  };
  return [
    sortExperts(kernels, { moe, experts: operand(scratch, "experts"), ...sorted }),
    ...expertMatmul(kernels, {
      ...{ kind: "gate-up", moe, numTokens, ...sorted },
      weight: operand(matrices, "expertGateUp"),
      bias: vectors["expertGateUpBias"] ?? null,
      x: operand(scratch, "normed"),
      y: gated,
    }),
    ...expertMatmul(kernels, {
      ...{ kind: "down", moe, numTokens, ...sorted },
      weight: operand(matrices, "expertDown"),
      bias: vectors["expertDownBias"] ?? null,
      x: gated,
      y: outputs,
    }),
    combineExperts(kernels, {
      x: outputs,
      weights: operand(scratch, "expertWeights"),
      y: run.hidden,
      perToken: moe.numExpertsPerToken,
      numCols: config.hiddenSize,
      numTokens,
    }),
  ];
}
