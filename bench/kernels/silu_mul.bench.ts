import { siluMul } from "../../src/kernels/silu_mul.ts";
import type { CasesOf } from "./kernel_case.ts";

/** The gate of one token and of a prefill step. */
export const siluMulCases: CasesOf = ({ config, manyTokens }) => {
  const numCols = config.intermediateSize;
  return [1, manyTokens].map((numTokens) => ({
    kernel: "silu_mul",
    shape: `${numTokens} x ${numCols}`,
    format: null,
    cost: { bytes: 12 * numTokens * numCols, flops: 5 * numTokens * numCols },
    prepare: async (kernels, operands) => {
      operands.step({ numTokens, numSamples: 0 });
      return [[siluMul(kernels, {
        gateUp: await operands.floats(2 * numTokens * numCols),
        y: await operands.empty(numTokens * numCols * 4),
        numCols,
        numTokens,
      })]];
    },
  }));
};
