import { attentionDecode } from "../../src/kernels/attention_decode.ts";
import { attentionCase } from "./attention_case.ts";
import type { CasesOf } from "./kernel_case.ts";

/** One token of 1 and 8 sequences at each length. */
export const attentionDecodeCases: CasesOf = (scale) =>
  scale.lengths.flatMap((length) =>
    [1, 8].map((numSequences) => {
      const shape = { numSequences, newTokens: 1, length };
      return attentionCase(
        { kernel: "attention_decode", shape, tileRows: 0 },
        scale,
        (kernels, call, { tokenRows, decodeRows, layout }) =>
          attentionDecode(kernels, {
            ...call,
            tokenRows,
            decodeRows,
            numRows: layout.shape.numDecodeRows,
          }),
      );
    })
  );
