import { describe, expect, test } from "vitest";
import { type BatchSlice, DEFAULT_SAMPLING } from "../../src/core.ts";
import { layoutBatch } from "../../src/stage/batch_layout.ts";

const LIMITS = {
  numBlocks: 8,
  maxModelLength: 64,
  maxBatchTokens: 40,
  maxSequences: 3,
  numSavedStates: 0,
  maxSamples: 40,
};
const PLAN = { maxBlocks: 4, tileRows: 16 };
const SAMPLE = { ...DEFAULT_SAMPLING, tokenIndex: 0 };

function slice(overrides: Partial<BatchSlice>): BatchSlice {
  return {
    sequenceId: 1,
    slot: 0,
    startPosition: 0,
    tokenIds: Uint32Array.of(5),
    blockTable: Uint32Array.of(2),
    ...overrides,
  };
}

describe("layoutBatch()", () => {
  const decode = slice({
    sequenceId: 1,
    startPosition: 17,
    tokenIds: Uint32Array.of(9),
    blockTable: Uint32Array.of(7, 3),
    sample: SAMPLE,
  });
  const prefill = slice({
    sequenceId: 2,
    slot: 1,
    tokenIds: Uint32Array.from({ length: 20 }, (_, i) => i),
    blockTable: Uint32Array.of(5, 6),
    sample: SAMPLE,
  });

  test("gives each token its position, sequence and slot", () => {
    const layout = layoutBatch({ stepId: 0, slices: [decode, prefill] }, LIMITS, PLAN);
    expect([...layout.tokenRows.subarray(0, 6)]).toEqual([17, 0, 3 * 16 + 1, 0, 1, 5 * 16]);
    expect([...layout.tokenRows.subarray(-3)]).toEqual([19, 1, 6 * 16 + 3]);
    expect([...layout.blockTables.subarray(0, 8)]).toEqual([7, 3, 0, 0, 5, 6, 0, 0]);
  });

  test("hands single tokens to one kernel and runs of tokens in tiles to the other", () => {
    const layout = layoutBatch({ stepId: 0, slices: [decode, prefill] }, LIMITS, PLAN);
    expect([...layout.decodeRows]).toEqual([0]);
    expect([...layout.tiles]).toEqual([1, 16, 0, 1, 17, 4, 16, 1]);
    expect(layout.shape)
      .toMatchObject({ numTokens: 21, numSamples: 2, numDecodeRows: 1, numTiles: 2, numSlices: 2 });
  });

  test("hands every token to the deterministic kernel where there are no tiles", () => {
    const plan = { ...PLAN, tileRows: 0 };
    const layout = layoutBatch({ stepId: 0, slices: [decode, prefill] }, LIMITS, plan);
    expect(layout.shape).toMatchObject({ numDecodeRows: 21, numTiles: 0 });
  });

  test("cuts slices of a chunk or more into chunks, where linear attention wants some", () => {
    const batch = { stepId: 0, slices: [decode, prefill] };
    const layout = layoutBatch(batch, LIMITS, { ...PLAN, chunkRows: 16 });
    expect([...layout.chunks]).toEqual([1, 16, 17, 4]);
    expect(layout.shape.numChunks).toBe(2);
    expect(layoutBatch(batch, LIMITS, { ...PLAN, chunkRows: 21 }).shape.numChunks).toBe(0);
    expect(layoutBatch(batch, LIMITS, PLAN).shape.numChunks).toBe(0);
  });

  test("samples the last row of a slice, or all rows where logits are wanted", () => {
    const wanting = { ...prefill, sample: { ...SAMPLE, wantsLogits: true } };
    const layout = layoutBatch({ stepId: 0, slices: [decode, wanting] }, LIMITS, PLAN);
    expect([...layout.sampleRows]).toEqual(Array.from({ length: 21 }, (_, i) => i));
    expect(layout.sampled.map(({ firstRow, endRow }) => [firstRow, endRow]))
      .toEqual([[0, 1], [1, 21]]);
  });

  test("tells each slice's rows, start and slot, and lists moves of states by slot", () => {
    const limits = { ...LIMITS, numSavedStates: 2 };
    const slices = [
      { ...decode, slot: 2, stateMoves: { restoreFrom: 0, saveTo: 1 } },
      { ...prefill, slot: 1, stateMoves: { saveTo: 0 } },
    ];
    const layout = layoutBatch({ stepId: 0, slices }, limits, PLAN);
    expect([...layout.slices]).toEqual([0, 1, decode.startPosition, 2, 1, 20, 0, 1]);
    expect([...layout.stateRestores!]).toEqual([1, 0, 3, 2]);
    expect([...layout.stateSaves!]).toEqual([2, 0, 2, 4, 1, 3]);
    const still = layoutBatch({ stepId: 0, slices: [decode] }, limits, PLAN);
    expect(still).toMatchObject({ stateRestores: null, stateSaves: null });
    for (const stateMoves of [{ restoreFrom: 2 }, { saveTo: 2 }]) {
      const stray = { stepId: 0, slices: [{ ...decode, stateMoves }] };
      expect(() => layoutBatch(stray, limits, PLAN)).toThrow("saved state 2 is outside those of 2");
    }
  });

  test("lists copied blocks, taken tokens by row and drawn tokens by slot", () => {
    const taking = slice({
      ...{ sequenceId: 3, slot: 2, startPosition: 30, takesDrawn: true, sample: SAMPLE },
      blockTable: Uint32Array.of(1, 4),
      blockCopy: { from: 2, to: 4 },
    });
    const wanting = { ...prefill, sample: { ...SAMPLE, wantsLogits: true } };
    const chained = { ...taking, sequenceId: 4, slot: 0, blockCopy: { from: 4, to: 1 } };
    const layout = layoutBatch({ stepId: 0, slices: [wanting, taking, chained] }, LIMITS, PLAN);
    expect([...layout.blockCopies!]).toEqual([2, 0, 2, 4, 4, 1]);
    expect([...layout.takenTokens!]).toEqual([2, 0, 2, 20, 0, 21]);
    expect([...layout.drawnTokens!]).toEqual([3, 0, 19, 1, 20, 2, 21, 0]);
    const { sample: _, ...plain } = decode;
    const empty = layoutBatch({ stepId: 0, slices: [plain] }, LIMITS, PLAN);
    expect([empty.blockCopies, empty.takenTokens, empty.drawnTokens]).toEqual([null, null, null]);
  });

  for (
    const [what, slices, message] of [
      ["a stray block", [slice({ blockTable: Uint32Array.of(8) })], "block 8 is outside the pool"],
      ["a missing block", [slice({ startPosition: 16 })], "it has 1 blocks for 17 tokens"],
      ["no tokens", [slice({ tokenIds: new Uint32Array(0) })], "its slice is empty"],
      [
        "a position past the longest sequence",
        [slice({ startPosition: 64, blockTable: Uint32Array.of(0, 1, 2, 3, 4) })],
        "the longest is 64",
      ],
      ["a stray slot", [slice({ slot: 3 })], "slot 3 is outside those of 3"],
      ["a slot for two", [slice({}), slice({ sequenceId: 2 })], "two sequences in one slot"],
      ["a copy from outside", [slice({ blockCopy: { from: 8, to: 2 } })], "block 8 is outside"],
      ["a copy to outside", [slice({ blockCopy: { from: 2, to: 9 } })], "block 9 is outside"],
      [
        "several drawn tokens",
        [slice({ takesDrawn: true, tokenIds: new Uint32Array(2) })],
        "one drawn token for several",
      ],
      ["moves of states", [slice({ stateMoves: { saveTo: 0 } })], "the model has none"],
      ["too many sequences", [1, 2, 3, 4].map((sequenceId) => slice({ sequenceId })), "takes"],
      ["nothing at all", [], "has 0 tokens"],
    ] as const
  ) {
    test(`refuses ${what}`, () => {
      expect(() => layoutBatch({ stepId: 0, slices }, LIMITS, PLAN)).toThrow(message);
    });
  }
});
