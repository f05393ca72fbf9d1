import { embed } from "../../src/kernels/embed.ts";
import { embedCost } from "../cost.ts";
import { fittingFormat } from "../synthetic_model.ts";
import type { CasesOf } from "./kernel_case.ts";

/** Rows of the embedding for one token and for a prefill step. */
export const embedCases: CasesOf = ({ config, formats, manyTokens }) => {
  const numCols = config.hiddenSize;
  // Every token's row is its own, whatever the vocabulary.
  const numRows = Math.min(config.vocabSize, 16_384);
  const format = fittingFormat(formats[0] ?? "f16", numCols);
  return [1, manyTokens].map((numTokens) => ({
    kernel: "embed",
    shape: `${numTokens} x ${numCols}`,
    format,
    cost: embedCost(format, numCols, numTokens),
    prepare: async (kernels, operands) => {
      const tokenIds = Uint32Array.from({ length: numTokens }, (_, i) => i * 31 % numRows);
      operands.step({ numTokens, numSamples: 0 });
      return [embed(kernels, {
        weight: await operands.weight(format, [numRows, numCols]),
        tokenIds: await operands.bytes(tokenIds),
        out: await operands.empty(numTokens * numCols * 4),
        numTokens,
      })];
    },
  }));
};
