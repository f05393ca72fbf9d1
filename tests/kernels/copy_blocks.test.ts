import { describe, expect, test } from "vitest";
import { copyBlocks } from "../../src/kernels/copy_blocks.ts";
import { type IndexPair, packPairs } from "../../src/kernels/index_pairs.ts";
import { kvBytes } from "../../src/kernels/kv_cache.ts";
import { copyBlocksReference } from "../reference.ts";
import { latentBytes } from "../../src/kernels/latent_cache.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();
const NUM_BLOCKS = 9;

const SHAPES = [
  { numKvHeads: 1, headDim: 2, isF16: false },
  { numKvHeads: 3, headDim: 64, isF16: false },
  { numKvHeads: 5, headDim: 36, isF16: true },
  { numKvHeads: 8, headDim: 128, isF16: true },
];

const LISTS: Readonly<Record<string, readonly IndexPair[]>> = {
  "nothing": [],
  "one block": [[8, 0]],
  "blocks that cross": [[0, 3], [1, 4], [7, 8]],
  "a chain in order": [[2, 5], [5, 6], [6, 1]],
  "a chain against the order": [[6, 1], [5, 6], [2, 5]],
  "a block onto itself": [[4, 4], [3, 4]],
};

describe.each(SHAPES)("copy_blocks() of $numKvHeads heads of $headDim, f16: $isF16", (shape) => {
  test.each(Object.keys(LISTS))("copies %s", async (name) => {
    const pairs = LISTS[name]!;
    const random = new Random(shape.headDim + pairs.length);
    const numWords = kvBytes(shape, NUM_BLOCKS) / 4;
    const [kWords, vWords] = [0, 1].map(() =>
      Uint32Array.from({ length: numWords }, () => random.below(2 ** 32))
    ) as [Uint32Array<ArrayBuffer>, Uint32Array<ArrayBuffer>];
    const [k, v] = [await gpu.output(kWords), await gpu.output(vWords)];
    await gpu.run(copyBlocks(await gpu.kernels({}), {
      cache: { ...shape, k, v },
      pairs: await gpu.upload(packPairs(pairs)),
    }));
    for (const [buffer, words] of [[k, kWords], [v, vWords]] as const) {
      copyBlocksReference(words, { numBlocks: NUM_BLOCKS, pairs });
      expect(await gpu.readWords(buffer)).toEqual(words);
    }
  });
});

describe.each([false, true])("copy_blocks() of latents, f16: %s", (isF16) => {
  test.each(Object.keys(LISTS))("copies %s", async (name) => {
    const pairs = LISTS[name]!;
    const shape = { latentDim: 36, ropeDim: 8, isF16 };
    const random = new Random(pairs.length);
    const words = Uint32Array.from(
      { length: latentBytes(shape, NUM_BLOCKS) / 4 },
      () => random.below(2 ** 32),
    );
    const latents = await gpu.output(words);
    await gpu.run(copyBlocks(await gpu.kernels({}), {
      cache: { ...shape, latents },
      pairs: await gpu.upload(packPairs(pairs)),
    }));
    copyBlocksReference(words, { numBlocks: NUM_BLOCKS, pairs });
    expect(await gpu.readWords(latents)).toEqual(words);
  });
});
