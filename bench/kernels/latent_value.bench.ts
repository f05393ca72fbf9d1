import { latentValue } from "../../src/kernels/latent_value.ts";
import { weightBytes } from "../cost.ts";
import type { CasesOf } from "./kernel_case.ts";
import { keyValueRows, latentsOf } from "./latent_case.ts";

/** Values of one token, of a few and of a prefill step, in every format. */
export const latentValueCases: CasesOf = ({ latentModel, formats, manyTokens }) => {
  const sizes = latentsOf(latentModel);
  const { numHeads, latentDim, ropeDim, valueDim } = sizes;
  return formats.flatMap((format) =>
    [1, 8, manyTokens].map((numTokens) => ({
      kernel: "latent_value",
      shape: `${numTokens} x ${numHeads} heads of ${latentDim} to ${valueDim}`,
      format,
      cost: {
        // The value rows alone.
        bytes: weightBytes(format, numHeads * valueDim, latentDim) +
          4 * numTokens * numHeads * (latentDim + valueDim),
        flops: 2 * numTokens * numHeads * valueDim * latentDim,
      },
      prepare: async (kernels, operands) => {
        operands.step({ numTokens, numSamples: 0 });
        const call = {
          ...sizes,
          seen: await operands.floats(numTokens * numHeads * (latentDim + ropeDim)),
          y: await operands.empty(numTokens * numHeads * valueDim * 4),
          numTokens,
        };
        const weights = await operands.rotatingWeights(format, [keyValueRows(sizes), latentDim]);
        return weights.map((weight) => latentValue(kernels, { ...call, weight }));
      },
    }))
  );
};
