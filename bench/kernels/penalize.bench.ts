import { packPenalties, penalize, PENALTY_ENTRY_BYTES } from "../../src/kernels/penalize.ts";
import { GREEDY } from "../operands.ts";
import type { CasesOf } from "./kernel_case.ts";

/** Distinct tokens of each sequence. */
const NUM_SEEN = 512;

/** One row and eight. */
export const penalizeCases: CasesOf = ({ config: { vocabSize } }) =>
  [1, 8].map((numSamples) => ({
    kernel: "penalize",
    shape: `${numSamples} x ${vocabSize}, ${NUM_SEEN} seen`,
    format: null,
    cost: { bytes: numSamples * NUM_SEEN * (PENALTY_ENTRY_BYTES + 8), flops: 0 },
    prepare: async (kernels, operands) => {
      operands.step({ numTokens: numSamples, numSamples });
      const penalties = {
        presence: 0.1,
        frequency: 0.1,
        repetition: 1.1,
        tokenIds: Uint32Array.from({ length: NUM_SEEN }, (_, i) => i * 61 % vocabSize),
        outputCounts: new Uint32Array(NUM_SEEN).fill(1),
      };
      const packed = packPenalties(
        Array.from({ length: numSamples }, () => ({ ...GREEDY, penalties })),
      );
      if (packed === null) throw new Error("The case has no penalties");
      return [penalize(kernels, {
        rows: await operands.bytes(packed.rows),
        entries: await operands.bytes(packed.entries),
        logits: await operands.floats(numSamples * vocabSize),
        vocabSize,
        numSamples,
      })];
    },
  }));
