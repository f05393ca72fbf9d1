import { packSampleParams, sample } from "../../src/kernels/sample.ts";
import { GREEDY } from "../operands.ts";
import type { CasesOf } from "./kernel_case.ts";

/** Requests by name: what serving asks for most. */
const REQUESTS = {
  greedy: GREEDY,
  "top-p": { ...GREEDY, temperature: 0.7, topP: 0.95 },
  "top-k top-p": { ...GREEDY, temperature: 0.7, topK: 40, topP: 0.95 },
} as const;

/** One row and eight of a vocabulary. */
export const sampleCases: CasesOf = ({ config: { vocabSize } }) =>
  Object.entries(REQUESTS).flatMap(([name, request]) =>
    [1, 8].map((numSamples) => ({
      kernel: "sample",
      shape: `${numSamples} x ${vocabSize} ${name}`,
      format: null,
      cost: { bytes: 4 * numSamples * vocabSize, flops: 0 },
      prepare: async (kernels, operands) => {
        operands.step({ numTokens: numSamples, numSamples });
        const requests = Array.from({ length: numSamples }, (_, seed) => ({ ...request, seed }));
        return [sample(kernels, {
          logits: await operands.floats(numSamples * vocabSize),
          params: await operands.bytes(packSampleParams(requests)),
          tokens: await operands.empty(numSamples * 4),
          vocabSize,
          numSamples,
        })];
      },
    }))
  );
