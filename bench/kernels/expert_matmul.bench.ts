import { WEIGHT_FORMATS } from "../../src/formats/weight_format.ts";
import { expertMatmul } from "../../src/kernels/expert_matmul.ts";
import { mostTiles, sortExperts, TILE_BYTES } from "../../src/kernels/sort_experts.ts";
import { weightBytes } from "../cost.ts";
import { expertBias, expertsOf, numRead, spreadExperts } from "./expert_cases.ts";
import type { CasesOf } from "./kernel_case.ts";

/** Both matrices for a prefill step; the time of sorting is in it. */
export const expertMatmulCases: CasesOf = ({ expertModels, formats, manyTokens: numTokens }) =>
  expertModels.flatMap((config) => {
    const { hiddenSize } = config;
    const moe = expertsOf(config);
    const numPairs = numTokens * moe.numExpertsPerToken;
    const matrices = [
      { kind: "gate-up", numRows: 2 * moe.expertSize, numCols: hiddenSize, numInputs: numTokens },
      { kind: "down", numRows: hiddenSize, numCols: moe.expertSize, numInputs: numPairs },
    ] as const;
    return matrices.flatMap(({ kind, numRows, numCols, numInputs }) => {
      const numOutputs = kind === "down" ? numRows : moe.expertSize;
      const fitting = formats.filter((format) => numCols % WEIGHT_FORMATS[format].blockSize === 0);
      return fitting.map((format) => ({
        kernel: "expert_matmul",
        shape: `${kind} ${numTokens} x ${moe.numExpertsPerToken} of ${moe.numExperts} ` +
          `${numRows}x${numCols}`,
        format,
        cost: {
          bytes: weightBytes(format, numRead(moe, numTokens) * numRows, numCols) +
            4 * (numInputs * numCols + numPairs * numOutputs),
          flops: 2 * numPairs * numRows * numCols,
        },
        prepare: async (kernels, operands) => {
          const all = [moe.numExperts * numRows, numCols] as const;
          const weights = await operands.rotatingWeights(format, all, numRows);
          const experts = await spreadExperts(operands, moe, numTokens);
          const sorted = {
            pairs: await operands.empty(numPairs * 4),
            tiles: await operands.empty(mostTiles(moe, numTokens) * TILE_BYTES),
          };
          const x = await operands.floats(numInputs * numCols);
          const y = await operands.empty(numPairs * numOutputs * 4);
          const bias = await expertBias(operands, moe, numRows);
          operands.step({ numTokens, numSamples: 0 });
          return weights.map((weight) => [
            sortExperts(kernels, { moe, experts, ...sorted }),
            ...expertMatmul(kernels, { kind, moe, weight, bias, x, y, numTokens, ...sorted }),
          ]);
        },
      }));
    });
  });
