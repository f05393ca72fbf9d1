import { combineExperts } from "../../src/kernels/combine_experts.ts";
import { expertsOf } from "./expert_cases.ts";
import type { CasesOf } from "./kernel_case.ts";

/** The sums of a prefill step. */
export const combineExpertsCases: CasesOf = ({ expertModels, manyTokens: numTokens }) =>
  expertModels.flatMap((config) => {
    const { hiddenSize: numCols } = config;
    const { numExpertsPerToken: perToken } = expertsOf(config);
    const numPairs = numTokens * perToken;
    return [{
      kernel: "combine_experts",
      shape: `${numTokens} x ${perToken} x ${numCols}`,
      format: null,
      cost: {
        bytes: 4 * (numPairs * (numCols + 1) + 2 * numTokens * numCols),
        flops: 2 * numPairs * numCols,
      },
      prepare: async (kernels, operands) => {
        operands.step({ numTokens, numSamples: 0 });
        return [[combineExperts(kernels, {
          x: await operands.floats(numPairs * numCols),
          weights: await operands.floats(numPairs),
          y: await operands.empty(numTokens * numCols * 4),
          ...{ perToken, numCols, numTokens },
        })]];
      },
    }];
  });
