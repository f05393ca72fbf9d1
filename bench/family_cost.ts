/**
 * The costs of what only some families have: experts and linear attention.
 *
 * @module
 */
import type { LinearShape, MoeConfig, WeightFormat } from "../src/core.ts";
import { CHUNK_ROWS, solutionColumns } from "../src/kernels/delta_solve.ts";
import { convColumns, stateColumns, valueColumns } from "../src/kernels/linear_shape.ts";
import { type Cost, weightBytes } from "./cost.ts";

/** How many experts `numTokens` read together, on average where all are as likely. */
export function activeExperts(
  { numExperts, numExpertsPerToken }: Pick<MoeConfig, "numExperts" | "numExpertsPerToken">,
  numTokens: number,
): number {
  return numExperts * (1 - (1 - numExpertsPerToken / numExperts) ** numTokens);
}

/** One matrix of the experts that `numTokens` chose: those experts are read, each once. */
export function expertCost(call: {
  readonly moe: MoeConfig;
  readonly format: WeightFormat;
  readonly numTokens: number;
  /** Of one expert. */
  readonly numRows: number;
  readonly numCols: number;
  /** Rows read and written, of all tokens. */
  readonly numInputs: number;
  readonly numOutputs: number;
  /** Of the experts, in this buffer. */
  readonly share: number;
}): Cost {
  const { moe, format, numTokens, numRows, numCols, share } = call;
  const numPairs = numTokens * moe.numExpertsPerToken;
  return {
    bytes: share * (weightBytes(format, activeExperts(moe, numTokens) * numRows, numCols) +
      4 * (call.numInputs * numCols + call.numOutputs)),
    flops: share * 2 * numPairs * numRows * numCols,
  };
}

/**
 * The delta rule in either form: three products of each token with a state, which is read and
 * written once for each sequence.
 */
export function deltaRuleCost(
  shape: LinearShape,
  { numTokens, numSlices }: { readonly numTokens: number; readonly numSlices: number },
): Cost {
  const numCells = stateColumns(shape).delta;
  const columns = convColumns(shape) + valueColumns(shape) + 4 * shape.numValueHeads;
  return {
    bytes: 8 * numSlices * numCells + 4 * numTokens * columns,
    flops: 6 * numTokens * numCells,
  };
}

/** What chunks of the delta rule need no state for: keys with keys, and with queries. */
export function deltaSolveCost(shape: LinearShape, numTokens: number): Cost {
  const { numKeyHeads, keyDim, numValueHeads } = shape;
  // A token meets half of its chunk, on average.
  const numPairs = numTokens * (CHUNK_ROWS + 1) / 2;
  return {
    bytes: 4 * numTokens * (2 * numKeyHeads * keyDim + 4 * numValueHeads + solutionColumns(shape)),
    flops: 4 * numPairs * numKeyHeads * keyDim,
  };
}

/** The convolution before it: rows through it, and the last inputs of each sequence. */
export function causalConvCost(
  shape: LinearShape,
  { numTokens, numSlices }: { readonly numTokens: number; readonly numSlices: number },
): Cost {
  const columns = convColumns(shape);
  return {
    bytes: 4 * (2 * numTokens + shape.convKernel) * columns +
      8 * numSlices * stateColumns(shape).conv,
    flops: 2 * numTokens * columns * shape.convKernel,
  };
}
