import { softcap } from "../../src/kernels/softcap.ts";
import type { CasesOf } from "./kernel_case.ts";

/** The logits of one sequence and of eight. */
export const softcapCases: CasesOf = ({ config }) =>
  [1, 8].map((numSamples) => {
    const numElements = numSamples * config.vocabSize;
    return {
      kernel: "softcap",
      shape: `${numSamples} x ${config.vocabSize}`,
      format: null,
      cost: { bytes: 8 * numElements, flops: 7 * numElements },
      prepare: async (kernels, operands) => {
        operands.step({ numTokens: numSamples, numSamples });
        const logits = await operands.floats(numElements);
        return [[softcap(kernels, { logits, cap: 30, vocabSize: config.vocabSize, numSamples })]];
      },
    };
  });
