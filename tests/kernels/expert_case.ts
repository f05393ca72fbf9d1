import type { ExpertActivation, MoeConfig, WeightFormat } from "../../src/core.ts";
import type { TestGpu } from "./gpu.ts";
import type { Random } from "./random.ts";
import { randomWeight, type TestWeight } from "./weights.ts";

/** Experts of a model, by what a test says about them. */
export function experts(chosen: Partial<MoeConfig>): MoeConfig {
  return {
    numExperts: 6,
    numExpertsPerToken: 3,
    expertSize: 20,
    isSparse: [true],
    scoring: "softmax",
    hasCorrectionBias: false,
    hasRouterBias: false,
    isNormalised: false,
    normEpsilon: 0,
    scale: 1,
    groups: null,
    shared: null,
    activation: { type: "silu" },
    hasExpertBias: false,
    ...chosen,
  };
}

/** gpt-oss's activation. */
export const CLAMPED = {
  type: "clamped-swiglu",
  limit: 1.5,
  alpha: 1.702,
  isInterleaved: true,
} as const satisfies ExpertActivation;

/** The same with all of gate above all of up. */
export const CLAMPED_HALVES = { ...CLAMPED, isInterleaved: false } as const;

/** Matrices of `numRows` rows for each expert, in parts of `expertsPerPart`. */
export async function expertWeight(gpu: TestGpu, random: Random, shape: {
  readonly moe: MoeConfig;
  readonly numRows: number;
  readonly numCols: number;
  readonly format: WeightFormat;
  readonly expertsPerPart?: number;
}): Promise<TestWeight> {
  const { moe: { numExperts }, numRows, numCols, format, expertsPerPart = numExperts } = shape;
  const parts = [];
  for (let first = 0; first < numExperts; first += expertsPerPart) {
    parts.push({ format, numRows: Math.min(expertsPerPart, numExperts - first) * numRows });
  }
  return await randomWeight(gpu, random, { numCols, parts });
}

/** Different experts for each token, in any order. */
export function randomExperts(random: Random, moe: MoeConfig, numTokens: number) {
  const all = Array.from({ length: moe.numExperts }, (_, expert) => expert);
  return Uint32Array.from(
    Array.from({ length: numTokens }, () => random.shuffled(all).slice(0, moe.numExpertsPerToken))
      .flat(),
  );
}
