import { latentQuery } from "../../src/kernels/latent_query.ts";
import { weightBytes } from "../cost.ts";
import type { CasesOf } from "./kernel_case.ts";
import { keyValueRows, latentsOf } from "./latent_case.ts";

/** Queries of one token, of a few and of a prefill step, in every format. */
export const latentQueryCases: CasesOf = ({ latentModel, formats, manyTokens }) => {
  const sizes = latentsOf(latentModel);
  const { numHeads, latentDim, nopeDim, ropeDim } = sizes;
  return formats.flatMap((format) =>
    [1, 8, manyTokens].map((numTokens) => ({
      kernel: "latent_query",
      shape: `${numTokens} x ${numHeads} heads of ${nopeDim} to ${latentDim}`,
      format,
      cost: {
        // The key rows alone.
        bytes: weightBytes(format, numHeads * nopeDim, latentDim) +
          4 * numTokens * numHeads * (nopeDim + latentDim + 2 * ropeDim),
        flops: 2 * numTokens * numHeads * nopeDim * latentDim,
      },
      prepare: async (kernels, operands) => {
        const shape = { numSequences: 1, newTokens: numTokens, length: numTokens };
        const { tokenRows } = await operands.batch(shape, { tileRows: 0 });
        const call = {
          ...sizes,
          tokenRows,
          angles: await operands.floats(numTokens * ropeDim),
          isInterleaved: true,
          q: await operands.floats(numTokens * numHeads * (nopeDim + ropeDim)),
          out: await operands.empty(numTokens * numHeads * (latentDim + ropeDim) * 4),
          numTokens,
        };
        const weights = await operands.rotatingWeights(format, [keyValueRows(sizes), latentDim]);
        return weights.map((weight) => latentQuery(kernels, { ...call, weight }));
      },
    }))
  );
};
