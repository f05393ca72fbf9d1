import { deltaSolve } from "../../src/kernels/delta_solve.ts";
import { deltaSolveCost } from "../family_cost.ts";
import type { CasesOf } from "./kernel_case.ts";
import {
  chunkedBatches,
  chunkOperands,
  LINEAR_SHAPE,
  linearName,
  linearOperands,
} from "./linear_case.ts";

/** What needs no state, of the chunks of prompts. */
export const deltaSolveCases: CasesOf = ({ manyTokens }) => {
  const { numValueHeads } = LINEAR_SHAPE;
  return chunkedBatches(manyTokens).map((batch) => {
    const numTokens = batch.numSlices * batch.tokensEach;
    return {
      kernel: "delta_solve",
      shape: linearName(batch),
      format: null,
      cost: deltaSolveCost(LINEAR_SHAPE, numTokens),
      prepare: async (kernels, operands) => [[deltaSolve(kernels, {
        ...await linearOperands(operands, batch),
        ...await chunkOperands(operands, batch),
        gates: await operands.floats(4 * numTokens * numValueHeads),
      })]],
    };
  });
};
