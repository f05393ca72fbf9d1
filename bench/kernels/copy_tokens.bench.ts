import { copyTokens } from "../../src/kernels/copy_tokens.ts";
import { packPairs } from "../../src/kernels/index_pairs.ts";
import type { CasesOf } from "./kernel_case.ts";

/** The tokens of one decode and of many. */
export const copyTokensCases: CasesOf = () =>
  [1, 32].map((numTokens) => ({
    kernel: "copy_tokens",
    shape: `${numTokens} tokens`,
    format: null,
    cost: { bytes: 16 * numTokens, flops: 0 },
    prepare: async (kernels, operands) => {
      operands.step({ numTokens, numSamples: numTokens });
      const pairs = Array.from({ length: numTokens }, (_, i) => [i, numTokens - 1 - i] as const);
      return [[copyTokens(kernels, {
        pairs: await operands.bytes(packPairs(pairs)),
        mostPairs: numTokens,
        source: await operands.empty(numTokens * 4),
        destination: await operands.empty(numTokens * 4),
      })]];
    },
  }));
