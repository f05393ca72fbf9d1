import { route } from "../../src/kernels/route.ts";
import { expertsOf } from "./expert_cases.ts";
import type { CasesOf } from "./kernel_case.ts";

/** The choice for one token and for a prefill step. */
export const routeCases: CasesOf = ({ expertModels, manyTokens }) =>
  expertModels.flatMap((config) => {
    const moe = expertsOf(config);
    const { numExperts, numExpertsPerToken } = moe;
    return [1, manyTokens].map((numTokens) => ({
      kernel: "route",
      shape: `${numTokens} x ${numExpertsPerToken} of ${numExperts}`,
      format: null,
      cost: {
        bytes: 4 * numTokens * (numExperts + 2 * numExpertsPerToken),
        flops: numTokens * numExperts * numExperts,
      },
      prepare: async (kernels, operands) => {
        operands.step({ numTokens, numSamples: 0 });
        return [[route(kernels, {
          moe,
          logits: await operands.floats(numTokens * numExperts),
          correctionBias: null,
          experts: await operands.empty(numTokens * numExpertsPerToken * 4),
          weights: await operands.empty(numTokens * numExpertsPerToken * 4),
          numTokens,
        })]];
      },
    }));
  });
