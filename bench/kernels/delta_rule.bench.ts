import { deltaRule } from "../../src/kernels/delta_rule.ts";
import { stateColumns, valueColumns } from "../../src/kernels/linear_shape.ts";
import type { CasesOf } from "./kernel_case.ts";
import {
  deltaCost,
  LINEAR_SHAPE,
  linearBatches,
  linearName,
  linearOperands,
} from "./linear_case.ts";

/** Decodes, which read and write the states, and a prefill, which keeps them in registers. */
export const deltaRuleCases: CasesOf = ({ manyTokens }) =>
  linearBatches(manyTokens).map((batch) => {
    const numTokens = batch.numSlices * batch.tokensEach;
    return {
      kernel: "delta_rule",
      shape: linearName(batch),
      format: null,
      cost: deltaCost(batch),
      prepare: async (kernels, operands) => [[deltaRule(kernels, {
        ...await linearOperands(operands, batch),
        gates: await operands.floats(4 * numTokens * LINEAR_SHAPE.numValueHeads),
        states: await operands.floats(batch.numSlices * stateColumns(LINEAR_SHAPE).delta),
        out: await operands.empty(4 * numTokens * valueColumns(LINEAR_SHAPE)),
      })]],
    };
  });
