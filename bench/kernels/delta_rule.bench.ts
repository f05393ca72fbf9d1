import { deltaRule } from "../../src/kernels/delta_rule.ts";
import { convColumns, stateColumns, valueColumns } from "../../src/kernels/linear_shape.ts";
import type { CasesOf } from "./kernel_case.ts";
import { LINEAR_SHAPE, linearBatches, linearName, linearOperands } from "./linear_case.ts";

/** Decodes, which read and write the states, and a prefill, which keeps them in registers. */
export const deltaRuleCases: CasesOf = ({ manyTokens }) => {
  const { numValueHeads } = LINEAR_SHAPE;
  return linearBatches(manyTokens).map((batch) => {
    const numTokens = batch.numSlices * batch.tokensEach;
    const numCells = stateColumns(LINEAR_SHAPE).delta;
    const columns = convColumns(LINEAR_SHAPE) + valueColumns(LINEAR_SHAPE) + 4 * numValueHeads;
    return {
      kernel: "delta_rule",
      shape: linearName(batch),
      format: null,
      cost: {
        bytes: 8 * batch.numSlices * numCells + 4 * numTokens * columns,
        // Two products with the state, its decay, and the outer product.
        flops: 7 * numTokens * numCells,
      },
      prepare: async (kernels, operands) => [[deltaRule(kernels, {
        ...await linearOperands(operands, batch),
        gates: await operands.floats(4 * numTokens * numValueHeads),
        states: await operands.floats(batch.numSlices * numCells),
        out: await operands.empty(4 * numTokens * valueColumns(LINEAR_SHAPE)),
      })]],
    };
  });
};
