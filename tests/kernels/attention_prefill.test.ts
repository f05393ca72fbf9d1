import { describe, test } from "vitest";
import { attentionPrefill, queryTileRows } from "../../src/kernels/attention_prefill.ts";
import { attentionReference } from "../reference.ts";
import { type AttentionCase, AttentionSetup } from "./attention_case.ts";
import { expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";

const gpu = await openTestGpu();

async function expectAttention(test: AttentionCase): Promise<void> {
  const setup = new AttentionSetup(test);
  const call = await setup.upload(gpu);
  const tileRows = queryTileRows(test.headDim);
  const tiles: number[] = [];
  let firstRow = 0;
  test.slices.forEach(({ start, numTokens }, sequence) => {
    for (let i = 0; i < numTokens; i += tileRows) {
      tiles.push(firstRow + i, Math.min(tileRows, numTokens - i), start + i, sequence);
    }
    firstRow += numTokens;
  });
  const numTiles = tiles.length / 4;
  const kernels = await gpu.kernels({ numTokens: firstRow, numTiles });
  await gpu.run(attentionPrefill(kernels, {
    ...call,
    tiles: await gpu.upload(Uint32Array.from(tiles)),
    numTiles,
  }));
  expectWithin(await gpu.read(call.out), attentionReference(setup.inputs), JSON.stringify(test));
}

/** Whole prompts, and chunks of longer ones: around a query tile, a block and a tile of keys. */
const SLICES = [
  { start: 0, numTokens: 2 },
  { start: 0, numTokens: 16 },
  { start: 0, numTokens: 33 },
  { start: 17, numTokens: 17 },
  { start: 31, numTokens: 1 },
  { start: 64, numTokens: 9 },
  { start: 95, numTokens: 8 },
];

const SHAPES: readonly Omit<AttentionCase, "slices">[] = [
  { numHeads: 1, numKvHeads: 1, headDim: 16, isF16: true },
  { numHeads: 6, numKvHeads: 2, headDim: 64, isF16: false },
  { numHeads: 2, numKvHeads: 2, headDim: 80, isF16: false },
  { numHeads: 8, numKvHeads: 1, headDim: 128, isF16: true },
  { numHeads: 2, numKvHeads: 1, headDim: 256, isF16: false },
];

describe("attention_prefill", () => {
  test.each(SHAPES)(
    "attends with $numHeads heads over $numKvHeads of $headDim, several sequences, f16 $isF16",
    async (shape) => await expectAttention({ ...shape, slices: SLICES }),
  );

  test.each([[[0.5, -4]], [[40, -60]]])("lets sinks of %j take their share", async (sinks) => {
    const shape = { numHeads: 2, numKvHeads: 1, headDim: 16, isF16: false, sinks };
    await expectAttention({ ...shape, slices: SLICES });
    await expectAttention({ ...shape, slices: SLICES, window: 5 });
  });

  test.each([1, 33])("sees no further back than a window of %i", async (window) => {
    const shape = { numHeads: 2, numKvHeads: 1, headDim: 16, isF16: false, window };
    await expectAttention({ ...shape, slices: SLICES });
  });
});
