import { describe, expect, test } from "vitest";
import { DEFAULT_SAMPLING, type PenaltyRequest, type SampleRequest } from "../../src/core.ts";
import {
  packPenalties,
  penalize,
  PENALTY_ENTRY_BYTES,
  PENALTY_ROW_BYTES,
} from "../../src/kernels/penalize.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";
import { penalized } from "./sample_reference.ts";

const gpu = await openTestGpu();

/** Runs the kernel on logits [requests.length, V]; `numSamples` of the step may be fewer. */
async function run(
  logits: Float32Array<ArrayBuffer>,
  requests: readonly SampleRequest[],
  numSamples = requests.length,
): Promise<Float32Array> {
  const packed = packPenalties(requests);
  if (packed === null) throw new Error("Expected a row with penalties");
  const output = await gpu.output(logits);
  await gpu.run(penalize(await gpu.kernels({ numSamples }), {
    rows: await gpu.upload(new Uint8Array(packed.rows)),
    entries: await gpu.upload(packed.entries),
    logits: output,
    vocabSize: logits.length / requests.length,
    numSamples: requests.length,
  }));
  return await gpu.read(output);
}

const PLAIN: SampleRequest = { ...DEFAULT_SAMPLING, tokenIndex: 0 };
const OFF = { presence: 0, frequency: 0, repetition: 1 } as const;

/** A request that penalises tokens given as [id, times in the output]. */
function withPenalties(
  strengths: Partial<PenaltyRequest>,
  counts: readonly (readonly [number, number])[],
): SampleRequest {
  return {
    ...PLAIN,
    penalties: {
      ...OFF,
      ...strengths,
      tokenIds: Uint32Array.from(counts, ([tokenId]) => tokenId),
      outputCounts: Uint32Array.from(counts, ([, count]) => count),
    },
  };
}

/** `numEntries` distinct ids below `vocabSize`, or all, with counts 0 to 4. */
function scatter(vocabSize: number, numEntries: number): [number, number][] {
  const ids = new Random(3).shuffled([...Array(vocabSize).keys()]).slice(0, numEntries);
  return ids.map((id) => [id, id % 5]);
}

test.each([1, 7, 256, 257, 32_000, 151_936])(
  "penalize() gives what the reference gives at vocab %i, rows differing",
  async (vocabSize) => {
    const requests = [
      withPenalties({ repetition: 1.3 }, scatter(vocabSize, 20)),
      PLAIN,
      withPenalties({ presence: 0.7 }, scatter(vocabSize, 257)),
      withPenalties({ frequency: 0.25 }, scatter(vocabSize, 1000)),
      withPenalties({ presence: 1 }, []),
      withPenalties({ presence: -1.5, frequency: -0.5, repetition: 0.8 }, scatter(vocabSize, 600)),
      PLAIN,
      withPenalties({ presence: 2, frequency: 2, repetition: 2 }, scatter(vocabSize, 1)),
    ];
    const logits = new Random(vocabSize).floats(vocabSize * requests.length, 8);
    const output = await run(logits.slice(), requests);
    requests.forEach(({ penalties }, row) => {
      const range = [row * vocabSize, (row + 1) * vocabSize] as const;
      const before = logits.subarray(...range);
      const expected = penalties === undefined ? before : penalized(before, penalties);
      const touched = new Set(penalties?.tokenIds);
      let largestError = 0;
      output.subarray(...range).forEach((logit, id) => {
        const error = Math.abs(logit - expected[id]!);
        largestError = Math.max(largestError, touched.has(id) ? error : error * 1e9);
      });
      expect({ row, largestError }).toEqual({ row, largestError: expect.closeTo(0, 4) });
    });
  },
);

describe("penalize()", () => {
  test("counts the prompt for repetition only", async () => {
    const strengths = { presence: 0.5, frequency: 0.25, repetition: 2 };
    const request = withPenalties(strengths, [[0, 0], [1, 1], [2, 3], [3, 0]]);
    const logits = new Float32Array([4, 4, 4, -4, 4, -4]);
    expect([...await run(logits, [request])]).toEqual([2, 1.25, 0.75, -8, 4, -4]);
  });

  test("leaves NaN, infinities, ids beyond the vocabulary and rows beyond num_samples", async () => {
    const all = withPenalties({ presence: 1, repetition: 2 }, [
      [0, 1],
      [1, 1],
      [2, 1],
      [3, 1],
      [4, 1],
      [0xffffffff, 1],
    ]);
    const logits = new Float32Array([NaN, Infinity, -Infinity, 6, 9, 9, 9, 9]);
    const output = await run(logits, [all, all], 1);
    expect([...output]).toEqual([NaN, Infinity, -Infinity, 2, 9, 9, 9, 9]);
  });
});

describe("packPenalties()", () => {
  test("is null when no token is penalised", () => {
    expect(packPenalties([])).toBeNull();
    expect(packPenalties([PLAIN, withPenalties({ presence: 1 }, [])])).toBeNull();
  });

  test("gives every request its row, in order, and an empty range to those without", () => {
    const packed = packPenalties([
      PLAIN,
      withPenalties({ presence: 0.5 }, [[9, 1], [4, 0]]),
      PLAIN,
      withPenalties({ repetition: 1.5 }, [[7, 2]]),
    ])!;
    expect([...packed.entries]).toEqual([9, 1, 4, 0, 7, 2]);
    expect(packed.entries.byteLength).toBe(3 * PENALTY_ENTRY_BYTES);
    const view = new DataView(packed.rows);
    const ranges = [0, 1, 2, 3].map((row) =>
      [0, 4].map((at) => view.getUint32(row * PENALTY_ROW_BYTES + at, true))
    );
    expect(ranges).toEqual([[0, 0], [0, 2], [2, 2], [2, 3]]);
  });

  test("refuses a repetition penalty that is not above 0", () => {
    expect(() => packPenalties([withPenalties({ repetition: 0 }, [[1, 1]])])).toThrow(RangeError);
  });
});
