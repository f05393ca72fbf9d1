import { attentionPrefill, queryTileRows } from "../../src/kernels/attention_prefill.ts";
import { attentionCase } from "./attention_case.ts";
import type { CasesOf } from "./kernel_case.ts";

/** A prefill step at the start of a sequence and at the end of each length. */
export const attentionPrefillCases: CasesOf = (scale) =>
  [...new Set([scale.manyTokens, ...scale.lengths])].map((length) => {
    const newTokens = Math.min(length, scale.manyTokens);
    return attentionCase(
      {
        kernel: "attention_prefill",
        shape: { numSequences: 1, newTokens, length },
        tileRows: queryTileRows(scale.config.headDim),
      },
      scale,
      (kernels, call, { tiles, layout }) =>
        attentionPrefill(kernels, { ...call, tiles, numTiles: layout.shape.numTiles }),
    );
  });
