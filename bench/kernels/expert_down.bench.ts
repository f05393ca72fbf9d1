import { WEIGHT_FORMATS } from "../../src/formats/weight_format.ts";
import { expertDown } from "../../src/kernels/expert_down.ts";
import { weightBytes } from "../cost.ts";
import { expertBias, expertsOf, numRead, spreadExperts } from "./expert_cases.ts";
import type { CasesOf } from "./kernel_case.ts";

/** One token's experts, and those of 4. */
export const expertDownCases: CasesOf = ({ expertModels, formats }) =>
  expertModels.flatMap((config) => {
    const { hiddenSize } = config;
    const moe = expertsOf(config);
    const { expertSize } = moe;
    const fitting = formats.filter((format) => expertSize % WEIGHT_FORMATS[format].blockSize === 0);
    return fitting.flatMap((format) =>
      [1, 4].map((numTokens) => {
        const numPairs = numTokens * moe.numExpertsPerToken;
        return {
          kernel: "expert_down",
          shape: `${numTokens} x ${moe.numExpertsPerToken} of ${moe.numExperts} ` +
            `${hiddenSize}x${expertSize}`,
          format,
          cost: {
            bytes: weightBytes(format, numRead(moe, numTokens) * hiddenSize, expertSize) +
              4 * (numPairs * expertSize + 2 * numTokens * hiddenSize),
            flops: 2 * numPairs * hiddenSize * expertSize,
          },
          prepare: async (kernels, operands) => {
            const all = [moe.numExperts * hiddenSize, expertSize] as const;
            const matrices = await operands.rotatingWeights(format, all, hiddenSize);
            const x = await operands.floats(numPairs * expertSize);
            const weights = await operands.floats(numPairs);
            const y = await operands.empty(numTokens * hiddenSize * 4);
            const experts = await spreadExperts(operands, moe, numTokens);
            const bias = await expertBias(operands, moe, hiddenSize);
            operands.step({ numTokens, numSamples: 0 });
            return matrices.map((weight) =>
              expertDown(kernels, { moe, weight, bias, x, experts, weights, y, numTokens })
            );
          },
        };
      })
    );
  });
