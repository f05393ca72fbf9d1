import { splitGate } from "../../src/kernels/split_gate.ts";
import type { CasesOf, KernelCase } from "./kernel_case.ts";

/** Rows of one token and of a prefill. */
export const splitGateCases: CasesOf = ({ config, manyTokens }) => {
  const { numHeads, numKvHeads, headDim } = config;
  const numOthers = 2 * numKvHeads * headDim;
  const numCols = numHeads * headDim + numOthers;
  return [1, manyTokens].map((numTokens): KernelCase => ({
    kernel: "split_gate",
    shape: `${numTokens} x ${numCols}`,
    format: null,
    cost: { bytes: 8 * numTokens * numCols, flops: 0 },
    prepare: async (kernels, operands) => {
      operands.step({ numTokens, numSamples: 0 });
      return [[splitGate(kernels, {
        ...{ numHeads, headDim, numOthers, numTokens },
        x: await operands.floats(numTokens * (numCols + numHeads * headDim)),
        y: await operands.empty(4 * numTokens * numCols),
      })]];
    },
  }));
};
