import { latentStore } from "../../src/kernels/latent_store.ts";
import type { CasesOf } from "./kernel_case.ts";
import { latentCache, latentsOf } from "./latent_case.ts";

/** The row of one token and of a prefill step. */
export const latentStoreCases: CasesOf = ({ latentModel, manyTokens, isF16Kv }) => {
  const { latentDim, ropeDim } = latentsOf(latentModel);
  const width = latentDim + ropeDim;
  return [1, manyTokens].map((numTokens) => ({
    kernel: "latent_store",
    shape: `${numTokens} x ${latentDim} + ${ropeDim}`,
    format: null,
    cost: { bytes: numTokens * width * (isF16Kv ? 6 : 8), flops: 4 * numTokens * width },
    prepare: async (kernels, operands) => {
      const shape = { numSequences: 1, newTokens: numTokens, length: numTokens };
      const { tokenRows, maxBlocks } = await operands.batch(shape, { tileRows: 0 });
      const room = { isF16: isF16Kv, numBlocks: maxBlocks };
      return [[latentStore(kernels, {
        cache: await latentCache(operands, { latentDim, ropeDim }, room),
        tokenRows,
        normWeight: await operands.floats(latentDim),
        eps: 1e-6,
        angles: await operands.floats(numTokens * ropeDim),
        isInterleaved: true,
        projected: await operands.floats(numTokens * width),
        numTokens,
      })]];
    },
  }));
};
