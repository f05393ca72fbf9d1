import { describe, expect, test } from "vitest";
import { attentionDecode } from "../../src/kernels/attention_decode.ts";
import { attentionReference } from "../reference.ts";
import { type AttentionCase, AttentionSetup } from "./attention_case.ts";
import { bitsOf, expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";

const gpu = await openTestGpu();

/** Outputs of `rows` of the batch, every token by default; other rows stay poisoned. */
async function attend(
  setup: AttentionSetup,
  rows = setup.inputs.tokens.map((_, row) => row),
): Promise<Float32Array<ArrayBuffer>> {
  const call = await setup.upload(gpu);
  const { tokens } = setup.inputs;
  const kernels = await gpu.kernels({ numTokens: tokens.length, numDecodeRows: rows.length });
  const tokenRows = tokens.flatMap(({ position, sequence }) => [position, sequence, 0xffffffff]);
  await gpu.run(attentionDecode(kernels, {
    ...call,
    tokenRows: await gpu.upload(Uint32Array.from(tokenRows)),
    decodeRows: await gpu.upload(Uint32Array.from(rows)),
    numRows: rows.length,
  }));
  return gpu.read(call.out);
}

/** Lengths around a block and around the tile of 64 positions. */
const LENGTHS = [1, 2, 15, 16, 17, 63, 64, 65, 128, 150].map((length) => ({
  start: length - 1,
  numTokens: 1,
}));

type Shape = Omit<AttentionCase, "slices">;

const SHAPES: readonly Shape[] = [
  { numHeads: 1, numKvHeads: 1, headDim: 16, isF16: false },
  { numHeads: 2, numKvHeads: 1, headDim: 32, isF16: true },
  { numHeads: 9, numKvHeads: 3, headDim: 64, isF16: false },
  { numHeads: 8, numKvHeads: 2, headDim: 64, isF16: true },
  { numHeads: 4, numKvHeads: 1, headDim: 80, isF16: false },
  { numHeads: 3, numKvHeads: 3, headDim: 36, isF16: true },
  { numHeads: 16, numKvHeads: 2, headDim: 128, isF16: false },
  // A group of 16 heads of 256 takes two workgroups.
  { numHeads: 16, numKvHeads: 1, headDim: 256, isF16: true },
];

describe("attention_decode", () => {
  test.each(SHAPES)(
    "attends with $numHeads heads over $numKvHeads of $headDim, many lengths at once, f16 $isF16",
    async (shape) => {
      const setup = new AttentionSetup({ ...shape, slices: LENGTHS });
      expectWithin(await attend(setup), attentionReference(setup.inputs));
    },
  );

  test.each([
    ["small", [-9, 0, 1, -1]],
    ["far above and below the scores", [40, -60, 3e4, -3e4]],
  ])("lets a sink take its share of each head, %s", async (_, sinks) => {
    for (const window of [16, undefined]) {
      const shape = { numHeads: 4, numKvHeads: 2, headDim: 16, isF16: false, sinks };
      const slices = LENGTHS;
      const setup = new AttentionSetup({ ...shape, slices, ...(window && { window }) });
      expectWithin(await attend(setup), attentionReference(setup.inputs));
    }
  });

  test.each([1, 16, 70, 1000])("sees no further back than a window of %i", async (window) => {
    const shape = { numHeads: 4, numKvHeads: 2, headDim: 16, isF16: window === 70, window };
    const setup = new AttentionSetup({ ...shape, slices: LENGTHS });
    expectWithin(await attend(setup), attentionReference(setup.inputs));
  });

  test("computes the rows that it is given, and leaves the others", async () => {
    const setup = new AttentionSetup({
      numHeads: 1,
      numKvHeads: 1,
      headDim: 16,
      isF16: false,
      slices: [{ start: 20, numTokens: 3 }, { start: 5, numTokens: 1 }, {
        start: 70,
        numTokens: 2,
      }],
    });
    const rows = [5, 3, 1];
    const actual = await attend(setup, rows);
    const { values, bounds } = attentionReference(setup.inputs);
    setup.inputs.tokens.forEach((_, row) => {
      const range = [row * 16, (row + 1) * 16] as const;
      if (!rows.includes(row)) {
        expect(actual.slice(...range).every(Number.isNaN)).toBe(true);
        return;
      }
      const expected = { values: values.slice(...range), bounds: bounds.slice(...range) };
      expectWithin(actual.slice(...range), expected);
    });
  });

  test.each([{ window: undefined }, { window: 40 }])(
    "gives a token the same bits alone, among others and in other blocks, window $window",
    async ({ window }) => {
      const shape = {
        numHeads: 4,
        numKvHeads: 1,
        headDim: 80,
        isF16: false,
        ...(window !== undefined && { window }),
      };
      const together = bitsOf(
        await attend(new AttentionSetup({ ...shape, slices: LENGTHS })),
      );
      for (const row of [0, 4, 7, 9]) {
        for (const blockSeed of [1, 2, 3]) {
          const slices = [LENGTHS[row]!];
          const alone = await attend(new AttentionSetup({ ...shape, slices, blockSeed }));
          expect(bitsOf(alone)).toEqual(together.slice(row * 320, (row + 1) * 320));
        }
      }
    },
  );

  test("gives a token of a run the same bits wherever the run was cut", async () => {
    const shape = { numHeads: 1, numKvHeads: 1, headDim: 16, isF16: false };
    const whole = new AttentionSetup({ ...shape, slices: [{ start: 0, numTokens: 80 }] });
    const expected = bitsOf(await attend(whole));
    for (const rows of [[79], [63, 64, 65]]) {
      const actual = bitsOf(await attend(whole, rows));
      for (const row of rows) {
        expect(actual.slice(row * 16, (row + 1) * 16))
          .toEqual(expected.slice(row * 16, (row + 1) * 16));
      }
    }
  });

  test("survives scores far apart", async () => {
    const setup = new AttentionSetup({
      numHeads: 1,
      numKvHeads: 1,
      headDim: 16,
      isF16: false,
      slices: [{ start: 140, numTokens: 1 }],
    });
    const { inputs } = setup;
    inputs.qkv.set(inputs.qkv.map((value) => value * 300));
    expectWithin(await attend(setup), attentionReference(inputs));
  });
});
