import { latentAttention } from "../../src/kernels/latent_attention.ts";
import { latentAttentionCost } from "../cost.ts";
import type { CasesOf } from "./kernel_case.ts";
import { latentCache, latentsOf } from "./latent_case.ts";

/** One token of 1 and 8 sequences at each length, and a whole prompt. */
export const latentAttentionCases: CasesOf = ({ latentModel, lengths, manyTokens, isF16Kv }) => {
  const { numHeads, latentDim, ropeDim, scoreScale: scale } = latentsOf(latentModel);
  const decodes = lengths.flatMap((length) =>
    [1, 8].map((numSequences) => ({ numSequences, newTokens: 1, length }))
  );
  const prompt = { numSequences: 1, newTokens: manyTokens, length: manyTokens };
  return [...decodes, prompt].map((shape) => {
    const { numSequences, newTokens, length } = shape;
    const numTokens = numSequences * newTokens;
    return {
      kernel: "latent_attention",
      shape: `${numSequences} x ${newTokens} of ${length}, ${numHeads} heads of ` +
        `${latentDim} + ${ropeDim}`,
      format: null,
      cost: latentAttentionCost({
        numQueries: numTokens,
        // A token sees all before it: the mean over the new ones.
        numSeen: length - (newTokens - 1) / 2,
        numRows: numSequences * length,
        ...{ numHeads, latentDim, ropeDim },
        isF16: isF16Kv,
      }),
      prepare: async (kernels, operands) => {
        const { tokenRows, blockTables, maxBlocks } = await operands.batch(shape, { tileRows: 0 });
        const room = { isF16: isF16Kv, numBlocks: numSequences * maxBlocks };
        return [[latentAttention(kernels, {
          cache: await latentCache(operands, { latentDim, ropeDim }, room),
          ...{ tokenRows, blockTables, maxBlocks, numHeads, scale, numTokens },
          heads: await operands.floats(numTokens * numHeads * (latentDim + ropeDim)),
        })]];
      },
    };
  });
};
