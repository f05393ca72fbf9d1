import { geluMul } from "../../src/kernels/gelu_mul.ts";
import type { CasesOf } from "./kernel_case.ts";

/** The gate of one token and of a prefill step. */
export const geluMulCases: CasesOf = ({ config, manyTokens }) => {
  const numCols = config.intermediateSize;
  return [1, manyTokens].map((numTokens) => ({
    kernel: "gelu_mul",
    shape: `${numTokens} x ${numCols}`,
    format: null,
    cost: { bytes: 12 * numTokens * numCols, flops: 11 * numTokens * numCols },
    prepare: async (kernels, operands) => {
      operands.step({ numTokens, numSamples: 0 });
      return [[geluMul(kernels, {
        gateUp: await operands.floats(2 * numTokens * numCols),
        y: await operands.empty(numTokens * numCols * 4),
        numCols,
        numTokens,
      })]];
    },
  }));
};
