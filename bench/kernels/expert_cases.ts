import type { ModelConfig, MoeConfig } from "../../src/core.ts";
import type { Operands } from "../operands.ts";

/** The experts of a model, or, for one that has none, some that fit beside its hidden states. */
export function expertsOf({ moe, intermediateSize, numLayers }: ModelConfig): MoeConfig {
  return moe ?? {
    numExperts: 32,
    numExpertsPerToken: 4,
    expertSize: 256 * Math.ceil(intermediateSize / 2048),
    isSparse: new Array<boolean>(numLayers).fill(true),
    scoring: "softmax",
    hasCorrectionBias: false,
    hasRouterBias: false,
    isNormalised: true,
    normEpsilon: 0,
    scale: 1,
    groups: null,
    shared: null,
    activation: { type: "silu" },
    hasExpertBias: false,
  };
}

/** Different experts for each token, all of them alike in number: u32 [numTokens, perToken]. */
export function spreadExperts(
  operands: Operands,
  { numExperts, numExpertsPerToken }: MoeConfig,
  numTokens: number,
): Promise<GPUBuffer> {
  const experts = Uint32Array.from(
    { length: numTokens * numExpertsPerToken },
    (_, pair) => (pair * 7 + Math.floor(pair / numExperts)) % numExperts,
  );
  return operands.bytes(experts);
}

/** How many experts that many tokens read at most. */
export function numRead({ numExperts, numExpertsPerToken }: MoeConfig, numTokens: number): number {
  return Math.min(numExperts, numTokens * numExpertsPerToken);
}

/** What is added to `numRows` of every expert, in models that have it. */
export async function expertBias(
  operands: Operands,
  { hasExpertBias, numExperts }: MoeConfig,
  numRows: number,
): Promise<GPUBuffer | null> {
  return hasExpertBias ? await operands.floats(numExperts * numRows) : null;
}
