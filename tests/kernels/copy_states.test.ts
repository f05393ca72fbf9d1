import { expect, test } from "vitest";
import { copyStates } from "../../src/kernels/copy_states.ts";
import { type IndexPair, packPairs } from "../../src/kernels/index_pairs.ts";
import { copyBlocksReference } from "../reference.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();
const NUM_SLOTS = 7;

const LISTS: readonly { name: string; pairs: readonly IndexPair[] }[] = [
  { name: "nothing", pairs: [] },
  { name: "one state", pairs: [[6, 0]] },
  { name: "one state to several slots", pairs: [[5, 0], [5, 2], [6, 1]] },
];

test.each(LISTS)("copy_states copies $name", async ({ pairs }) => {
  for (const numCols of [1, 63, 1000]) {
    const random = new Random(numCols);
    const words = Uint32Array.from({ length: NUM_SLOTS * numCols }, () => random.uint32());
    const states = await gpu.output(words);
    const call = { states, numCols, pairs: await gpu.upload(packPairs(pairs)) };
    await gpu.run(copyStates(await gpu.kernels({}), call));
    copyBlocksReference(words, { numBlocks: NUM_SLOTS, pairs });
    expect(await gpu.readWords(states)).toEqual(words);
  }
});
