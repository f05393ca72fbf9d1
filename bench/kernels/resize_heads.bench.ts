import { resizeHeads } from "../../src/kernels/resize_heads.ts";
import type { CasesOf, KernelCase } from "./kernel_case.ts";

/** Queries, keys and values of one token and of a prefill, each head two elements longer. */
export const resizeHeadsCases: CasesOf = ({ config, manyTokens }) => {
  const numHeads = config.numHeads + 2 * config.numKvHeads;
  const [fromDim, toDim] = [config.headDim - 2, config.headDim];
  return [1, manyTokens].map((numTokens): KernelCase => ({
    kernel: "resize_heads",
    shape: `${numTokens} x ${numHeads} x ${fromDim}`,
    format: null,
    cost: { bytes: 4 * numTokens * numHeads * (fromDim + toDim), flops: 0 },
    prepare: async (kernels, operands) => {
      operands.step({ numTokens, numSamples: 0 });
      return [[resizeHeads(kernels, {
        ...{ numHeads, fromDim, toDim, numTokens },
        x: await operands.floats(numTokens * numHeads * fromDim),
        y: await operands.empty(4 * numTokens * numHeads * toDim),
      })]];
    },
  }));
};
