import { copyBlocks } from "../../src/kernels/copy_blocks.ts";
import { packPairs } from "../../src/kernels/index_pairs.ts";
import { kvBytes } from "../../src/kernels/kv_cache.ts";
import type { CasesOf } from "./kernel_case.ts";

/** One block and eight, of one layer. */
export const copyBlocksCases: CasesOf = ({ config, isF16Kv }) => {
  const { numKvHeads, headDim } = config;
  return [1, 8].map((numBlocks) => ({
    kernel: "copy_blocks",
    shape: `${numBlocks} x ${numKvHeads} heads of ${headDim}`,
    format: null,
    cost: { bytes: 4 * kvBytes({ numKvHeads, headDim, isF16: isF16Kv }, numBlocks), flops: 0 },
    prepare: async (kernels, operands) => {
      operands.step({ numTokens: 1, numSamples: 0 });
      const pairs = Array.from({ length: numBlocks }, (_, i) => [i, numBlocks + i] as const);
      return [[copyBlocks(kernels, {
        cache: await operands.kvCache(config, 2 * numBlocks),
        pairs: await operands.bytes(packPairs(pairs)),
      })]];
    },
  }));
};
