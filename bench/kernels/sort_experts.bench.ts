import { mostTiles, sortExperts, TILE_BYTES } from "../../src/kernels/sort_experts.ts";
import { expertsOf, spreadExperts } from "./expert_cases.ts";
import type { CasesOf } from "./kernel_case.ts";

/** The experts of a prefill step. */
export const sortExpertsCases: CasesOf = ({ expertModels, manyTokens }) =>
  expertModels.flatMap((config) => {
    const moe = expertsOf(config);
    const numPairs = manyTokens * moe.numExpertsPerToken;
    const tilesBytes = mostTiles(moe, manyTokens) * TILE_BYTES;
    return [{
      kernel: "sort_experts",
      shape: `${manyTokens} x ${moe.numExpertsPerToken} of ${moe.numExperts}`,
      format: null,
      cost: { bytes: 8 * numPairs + tilesBytes, flops: 0 },
      prepare: async (kernels, operands) => {
        operands.step({ numTokens: manyTokens, numSamples: 0 });
        return [[sortExperts(kernels, {
          moe,
          experts: await spreadExperts(operands, moe, manyTokens),
          pairs: await operands.empty(numPairs * 4),
          tiles: await operands.empty(tilesBytes),
        })]];
      },
    }];
  });
