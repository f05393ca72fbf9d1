import { WEIGHT_FORMATS } from "../../src/formats/weight_format.ts";
import { expertGateUp } from "../../src/kernels/expert_gate_up.ts";
import { weightBytes } from "../cost.ts";
import { expertBias, expertsOf, numRead, spreadExperts } from "./expert_cases.ts";
import type { CasesOf } from "./kernel_case.ts";

/** One token's experts, and those of 4. */
export const expertGateUpCases: CasesOf = ({ expertModels, formats }) =>
  expertModels.flatMap((config) => {
    const { hiddenSize } = config;
    const moe = expertsOf(config);
    const numRows = 2 * moe.expertSize;
    const fitting = formats.filter((format) => hiddenSize % WEIGHT_FORMATS[format].blockSize === 0);
    return fitting.flatMap((format) =>
      [1, 4].map((numTokens) => {
        const numPairs = numTokens * moe.numExpertsPerToken;
        return {
          kernel: "expert_gate_up",
          shape: `${numTokens} x ${moe.numExpertsPerToken} of ${moe.numExperts} ` +
            `${numRows}x${hiddenSize}`,
          format,
          cost: {
            bytes: weightBytes(format, numRead(moe, numTokens) * numRows, hiddenSize) +
              4 * (numTokens * hiddenSize + numPairs * moe.expertSize),
            flops: 2 * numPairs * numRows * hiddenSize,
          },
          prepare: async (kernels, operands) => {
            const all = [moe.numExperts * numRows, hiddenSize] as const;
            const weights = await operands.rotatingWeights(format, all, numRows);
            const x = await operands.floats(numTokens * hiddenSize);
            const y = await operands.empty(numPairs * moe.expertSize * 4);
            const experts = await spreadExperts(operands, moe, numTokens);
            const bias = await expertBias(operands, moe, numRows);
            operands.step({ numTokens, numSamples: 0 });
            return weights.map((weight) =>
              expertGateUp(kernels, { moe, weight, bias, x, experts, y, numTokens })
            );
          },
        };
      })
    );
  });
