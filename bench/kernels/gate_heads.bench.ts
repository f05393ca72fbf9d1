import { gateHeads } from "../../src/kernels/gate_heads.ts";
import type { CasesOf, KernelCase } from "./kernel_case.ts";

/** Heads of one token and of a prefill. */
export const gateHeadsCases: CasesOf = ({ config, manyTokens }) => {
  const { numHeads, headDim } = config;
  const stride = 2 * numHeads * headDim;
  return [1, manyTokens].map((numTokens): KernelCase => ({
    kernel: "gate_heads",
    shape: `${numTokens} x ${numHeads} heads of ${headDim}`,
    format: null,
    cost: { bytes: 6 * numTokens * stride, flops: 2 * numTokens * stride },
    prepare: async (kernels, operands) => {
      operands.step({ numTokens, numSamples: 0 });
      return [[gateHeads(kernels, {
        ...{ stride, numHeads, headDim, numTokens },
        x: await operands.floats(numTokens * stride),
        y: await operands.floats(numTokens * numHeads * headDim),
      })]];
    },
  }));
};
