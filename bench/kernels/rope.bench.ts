import { rope } from "../../src/kernels/rope.ts";
import type { CasesOf } from "./kernel_case.ts";

/** Queries and keys of one token and of a prefill step. */
export const ropeCases: CasesOf = ({ config, manyTokens }) => {
  const { numHeads, numKvHeads, headDim } = config;
  const { rotaryDim, isInterleaved } = config.rope;
  const numRotatedHeads = numHeads + numKvHeads;
  const stride = (numHeads + 2 * numKvHeads) * headDim;
  return [1, manyTokens].map((numTokens) => ({
    kernel: "rope",
    shape: `${numTokens} x ${numRotatedHeads} heads of ${headDim}`,
    format: null,
    cost: {
      bytes: numTokens * (8 * numRotatedHeads * rotaryDim + 4 * rotaryDim),
      flops: 3 * numTokens * numRotatedHeads * rotaryDim,
    },
    prepare: async (kernels, operands) => {
      const shape = { numSequences: 1, newTokens: numTokens, length: numTokens };
      const { tokenRows } = await operands.batch(shape, { tileRows: 0 });
      return [[rope(kernels, {
        tokenRows,
        angles: await operands.floats(numTokens * rotaryDim),
        qkv: await operands.floats(numTokens * stride),
        stride,
        numRotatedHeads,
        headDim,
        rotaryDim,
        isInterleaved,
        numTokens,
      })]];
    },
  }));
};
