import { kvStore } from "../../src/kernels/kv_store.ts";
import type { CasesOf } from "./kernel_case.ts";

/** K and V of one token and of a prefill step. */
export const kvStoreCases: CasesOf = ({ config, manyTokens, isF16Kv }) => {
  const { numHeads, numKvHeads, headDim } = config;
  return [1, manyTokens].map((numTokens) => ({
    kernel: "kv_store",
    shape: `${numTokens} x ${numKvHeads} heads of ${headDim}`,
    format: null,
    cost: { bytes: 2 * numTokens * numKvHeads * headDim * (isF16Kv ? 6 : 8), flops: 0 },
    prepare: async (kernels, operands) => {
      const shape = { numSequences: 1, newTokens: numTokens, length: numTokens };
      const { tokenRows, maxBlocks } = await operands.batch(shape, { tileRows: 0 });
      const stride = (numHeads + 2 * numKvHeads) * headDim;
      return [[kvStore(kernels, {
        cache: await operands.kvCache(config, maxBlocks),
        tokenRows,
        qkv: await operands.floats(numTokens * stride),
        stride,
        keyOffset: numHeads * headDim,
        numTokens,
      })]];
    },
  }));
};
