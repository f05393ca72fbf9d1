import { causalConv } from "../../src/kernels/causal_conv.ts";
import { convColumns, stateColumns } from "../../src/kernels/linear_shape.ts";
import type { CasesOf } from "./kernel_case.ts";
import { LINEAR_SHAPE, linearBatches, linearName, linearOperands } from "./linear_case.ts";

/** Decodes and a prefill of one layer. */
export const causalConvCases: CasesOf = ({ manyTokens }) => {
  const numChannels = convColumns(LINEAR_SHAPE);
  const { convKernel } = LINEAR_SHAPE;
  return linearBatches(manyTokens).map((batch) => {
    const numTokens = batch.numSlices * batch.tokensEach;
    const numStates = batch.numSlices * stateColumns(LINEAR_SHAPE).conv;
    return {
      kernel: "causal_conv",
      shape: linearName(batch),
      format: null,
      cost: {
        bytes: 4 * (numChannels * (convKernel + 2 * numTokens) + 2 * numStates),
        flops: 2 * numTokens * numChannels * convKernel,
      },
      prepare: async (kernels, operands) => [[causalConv(kernels, {
        ...await linearOperands(operands, batch),
        weight: await operands.floats(numChannels * convKernel),
        states: await operands.floats(numStates),
      })]],
    };
  });
};
