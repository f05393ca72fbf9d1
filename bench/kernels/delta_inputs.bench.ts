import { deltaInputs } from "../../src/kernels/delta_inputs.ts";
import type { CasesOf } from "./kernel_case.ts";
import { LINEAR_SHAPE, linearBatches, linearName, linearOperands } from "./linear_case.ts";

/** Decodes and a prefill of one layer. */
export const deltaInputsCases: CasesOf = ({ manyTokens }) => {
  const { numKeyHeads, numValueHeads, keyDim } = LINEAR_SHAPE;
  return linearBatches(manyTokens).map((batch) => {
    const numTokens = batch.numSlices * batch.tokensEach;
    const numElements = 2 * numTokens * numKeyHeads * keyDim;
    return {
      kernel: "delta_inputs",
      shape: linearName(batch),
      format: null,
      cost: { bytes: 8 * numElements + 24 * numTokens * numValueHeads, flops: 4 * numElements },
      prepare: async (kernels, operands) => [[deltaInputs(kernels, {
        ...await linearOperands(operands, batch),
        rates: await operands.floats(2 * numTokens * numValueHeads),
        aLog: await operands.floats(numValueHeads),
        dtBias: await operands.floats(numValueHeads),
        gates: await operands.empty(16 * numTokens * numValueHeads),
      })]],
    };
  });
};
