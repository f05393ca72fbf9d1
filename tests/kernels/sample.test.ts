import { describe, expect, test } from "vitest";
import type { SampleRequest } from "../../src/core.ts";
import { packSampleParams, sample } from "../../src/kernels/sample.ts";
import { openTestGpu, POISON } from "./gpu.ts";
import { philox2x32, referenceDraw, survivorsOf } from "./sample_reference.ts";

const gpu = await openTestGpu();

const ALL: SampleRequest = { temperature: 1, topP: 1, topK: 0, minP: 0, seed: 1, tokenIndex: 0 };
const GREEDY: SampleRequest = { ...ALL, temperature: 0 };

/** Runs the kernel on logits [requests.length, V]; `numSamples` of the step may be fewer. */
async function draw(
  logits: Float32Array<ArrayBuffer>,
  requests: readonly SampleRequest[],
  numSamples = requests.length,
): Promise<number[]> {
  const tokens = await gpu.output(requests.length);
  await gpu.run(sample(await gpu.kernels({ numSamples }), {
    logits: await gpu.upload(logits),
    params: await gpu.upload(new Uint8Array(packSampleParams(requests))),
    tokens,
    vocabSize: logits.length / requests.length,
    numSamples: requests.length,
  }));
  return [...await gpu.readWords(tokens)];
}

/** Deterministic normal numbers times `spread`, from the reference's generator. */
function normalLogits(count: number, spread: number, seed = 7): Float32Array<ArrayBuffer> {
  const logits = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const [a, b] = philox2x32([i, 0], seed);
    const radius = Math.sqrt(-2 * Math.log((a + 0.5) / 2 ** 32));
    logits[i] = spread * radius * Math.cos(2 * Math.PI * b / 2 ** 32);
  }
  return logits;
}

/** Those logits in a row of 7, the others far below. */
function padded(logits: readonly number[]): Float32Array<ArrayBuffer> {
  const row = new Float32Array(7).fill(-100);
  row.set(logits);
  return row;
}

/** The same logits in `numRows` rows. */
function repeated(logits: Float32Array, numRows: number): Float32Array<ArrayBuffer> {
  const rows = new Float32Array(logits.length * numRows);
  for (let row = 0; row < numRows; row++) rows.set(logits, row * logits.length);
  return rows;
}

/** Draws `count` tokens at token indexes 0, 1, 2... of one row of logits. */
function drawMany(logits: Float32Array, request: SampleRequest, count: number): Promise<number[]> {
  return draw(
    repeated(logits, count),
    Array.from({ length: count }, (_, tokenIndex) => ({ ...request, tokenIndex })),
  );
}

/** Pearson's statistic in standard deviations above its mean: beyond 4 is a wrong distribution. */
function chiSquareExcess(counts: readonly number[], expected: readonly number[]): number {
  const statistic = counts.reduce(
    (sum, count, i) => sum + (count - expected[i]!) ** 2 / expected[i]!,
    0,
  );
  const freedom = counts.length - 1;
  return (statistic - freedom) / Math.sqrt(2 * freedom);
}

function countsOf(values: readonly number[], numBins: number): number[] {
  const counts = new Array<number>(numBins).fill(0);
  for (const value of values) counts[value]! += 1;
  return counts;
}

const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b);

test("the reference's generator gives Random123's known answers for Philox2x32-10", () => {
  expect(philox2x32([0, 0], 0)).toEqual([0xff1dae59, 0x6cd10df2]);
  expect(philox2x32([0xffffffff, 0xffffffff], 0xffffffff)).toEqual([0x2c3f628b, 0xab4fd7ad]);
  expect(philox2x32([0x243f6a88, 0x85a308d3], 0x13198a2e)).toEqual([0xdd7ce038, 0xf62a4c12]);
});

describe("sample() draws what the reference draws", () => {
  const warped: SampleRequest[] = [
    GREEDY,
    ALL,
    { ...ALL, temperature: 0.7, topK: 40, topP: 0.9 },
    { ...ALL, topP: 0.5, seed: 0xffffffff },
    { ...ALL, minP: 0.05, tokenIndex: 4_000_000_000 },
    { ...ALL, temperature: 1.5, topK: 20, topP: 0.95, minP: 0.1, seed: 12345 },
    { ...ALL, topK: 1 },
    { ...ALL, topK: 1_000_000 },
    { ...ALL, topP: 1e-9 },
    { ...ALL, topP: 0, minP: 1 },
    { ...ALL, temperature: 1e-6 },
    { ...ALL, temperature: 1e-30, topP: 0.9 },
    { ...ALL, temperature: 100, topP: 0.999 },
    { ...ALL, temperature: 1e30, topK: 7 },
  ];
  test.each([
    { vocabSize: 1, rounds: 2 },
    { vocabSize: 7, rounds: 16 },
    { vocabSize: 256, rounds: 8 },
    { vocabSize: 257, rounds: 8 },
    { vocabSize: 1031, rounds: 4 },
    { vocabSize: 32_000, rounds: 1 },
    { vocabSize: 49_152, rounds: 1 },
    { vocabSize: 151_936, rounds: 1 },
  ])("vocab $vocabSize, all requests in one batch", async ({ vocabSize, rounds }) => {
    const requests = Array.from({ length: rounds }, (_, round) =>
      warped.map((request) => ({
        ...request,
        seed: (request.seed + round * 0x01000193) >>> 0,
        tokenIndex: (request.tokenIndex + round) >>> 0,
      }))).flat();
    const logits = normalLogits(vocabSize * requests.length, 3);
    const drawn = await draw(logits, requests);
    let numUnclear = 0;
    requests.forEach((request, row) => {
      const expected = referenceDraw(
        logits.subarray(row * vocabSize, (row + 1) * vocabSize),
        request,
      );
      if (!expected.isClear) numUnclear += 1;
      else {expect({ row, request, drawn: drawn[row] }).toEqual({
          row,
          request,
          drawn: expected.tokenId,
        });}
    });
    expect(numUnclear).toBeLessThanOrEqual(1);
  });

  test("over 1,500 token indexes and as many seeds", async () => {
    const logits = normalLogits(257, 2);
    const request = { ...ALL, temperature: 0.8, topK: 100, topP: 0.95, minP: 0.01 };
    const requests = Array.from(
      { length: 3000 },
      (_, i) => i < 1500 ? { ...request, tokenIndex: i } : { ...request, seed: i },
    );
    const drawn = await draw(repeated(logits, requests.length), requests);
    const expected = requests.map((each) => referenceDraw(logits, each));
    expect(expected.filter(({ isClear }) => !isClear).length).toBeLessThan(6);
    expect(drawn.filter((id, i) => expected[i]!.isClear && id !== expected[i]!.tokenId)).toEqual(
      [],
    );
  });
});

describe("sample() at temperature 0", () => {
  test.each([[3, 4], [0, 256], [255, 256], [1, 1025], [700, 956], [1029, 1030]])(
    "takes %i when %i is equally high",
    async (low, high) => {
      const logits = normalLogits(1031, 1);
      logits[low] = logits[high] = 50;
      expect(await draw(logits, [GREEDY])).toEqual([low]);
    },
  );

  test("takes the lowest id of all when all are equal, and of -0 and 0", async () => {
    expect(await draw(new Float32Array(1031).fill(-3.5), [GREEDY])).toEqual([0]);
    const zeros = new Float32Array(1031).fill(-1);
    zeros[301] = -0;
    zeros[302] = 0;
    expect(await draw(zeros, [GREEDY])).toEqual([301]);
  });

  test("tells neighbouring floats apart, also subnormal ones", async () => {
    const close = padded([8, 8.000001, 8.000002, 8.000001]);
    expect(await draw(close, [GREEDY])).toEqual([2]);
    const tiny = padded([-1e-42, 0, 2.8e-45, 1.4e-45]);
    expect(await draw(tiny, [GREEDY])).toEqual([2]);
  });
});

describe("sample() follows the softmax", () => {
  // SwiftShader takes milliseconds for a row, however short.
  const share = /swiftshader/i.test(gpu.context.capabilities.adapterName) ? 0.1 : 1;
  const COUNT = 20_000 * share;
  test.each([
    { name: "plain", request: ALL, count: COUNT },
    { name: "temperature 0.5", request: { ...ALL, temperature: 0.5, seed: 99 }, count: COUNT },
    { name: "top-k 5", request: { ...ALL, topK: 5, seed: 3 }, count: 5000 * share },
    { name: "top-p 0.8", request: { ...ALL, topP: 0.8, seed: 0x80000000 }, count: 5000 * share },
    { name: "min-p 0.4", request: { ...ALL, minP: 0.4, temperature: 2 }, count: COUNT },
  ])("over token indexes: $name", async ({ request, count }) => {
    const logits = normalLogits(7, 0.7, 11);
    const counts = countsOf(await drawMany(logits, request, count), 7);
    const survivors = survivorsOf(logits, request);
    const drawnIds = counts.flatMap((drawn, id) => drawn > 0 ? [id] : []);
    expect(drawnIds).toEqual(sorted(survivors.map(({ tokenId }) => tokenId)));
    expect(chiSquareExcess(
      survivors.map(({ tokenId }) => counts[tokenId]!),
      survivors.map(({ probability }) => count * probability),
    )).toBeLessThan(4);
  });

  test("over seeds", async () => {
    const logits = normalLogits(7, 0.7, 11);
    const requests = Array.from({ length: COUNT }, (_, seed) => ({ ...ALL, seed }));
    const counts = countsOf(await draw(repeated(logits, COUNT), requests), 7);
    const survivors = survivorsOf(logits, ALL);
    expect(chiSquareExcess(
      survivors.map(({ tokenId }) => counts[tokenId]!),
      survivors.map(({ probability }) => COUNT * probability),
    )).toBeLessThan(4);
  });

  test("evenly over a large flat vocabulary, however hot", async () => {
    const vocabSize = 1031;
    const count = 12_000 * share;
    for (const temperature of [1, 1e30]) {
      const logits = temperature === 1 ? new Float32Array(vocabSize) : normalLogits(vocabSize, 3);
      const counts = countsOf(await drawMany(logits, { ...ALL, temperature }, count), vocabSize);
      expect(chiSquareExcess(counts, counts.map(() => count / vocabSize))).toBeLessThan(4);
    }
  });

  test("neighbouring token indexes are independent", async () => {
    const drawn = await drawMany(new Float32Array(7), ALL, COUNT);
    const pairs = countsOf(drawn.slice(1).map((id, i) => 7 * drawn[i]! + id), 49);
    expect(chiSquareExcess(pairs, pairs.map(() => (COUNT - 1) / 49))).toBeLessThan(4);
  });
});

describe("sample() keeps exactly", () => {
  const logits = normalLogits(257, 1, 5);
  test.each([
    { name: "top-k 5", request: { ...ALL, topK: 5 } },
    { name: "top-p 0.2", request: { ...ALL, topP: 0.2 } },
    { name: "min-p 0.3", request: { ...ALL, minP: 0.3 } },
    { name: "top-k 9, then top-p 0.6 of those", request: { ...ALL, topK: 9, topP: 0.6 } },
    {
      name: "all three",
      request: { ...ALL, temperature: 0.9, topK: 30, topP: 0.7, minP: 0.5 },
    },
  ])("what the reference keeps: $name", async ({ request }) => {
    const drawn = await drawMany(logits, request, 2048);
    expect(sorted(new Set(drawn))).toEqual(
      sorted(survivorsOf(logits, request).map(({ tokenId }) => tokenId)),
    );
  });

  test("all tokens that tie with the last one", async () => {
    const ties = Float32Array.from(
      { length: 300 },
      (_, id) => id === 17 ? 2 : id % 100 === 3 ? 1 : -9,
    );
    for (const request of [{ ...ALL, topK: 2 }, { ...ALL, topP: 0.6 }]) {
      expect(sorted(new Set(await drawMany(ties, request, 512)))).toEqual([3, 17, 103, 203]);
    }
  });

  test("a top-k boundary in the last bit of a logit", async () => {
    const close = new Float32Array(1031).fill(1);
    close[10] = 1 + 2 ** -23;
    close[990] = 1 + 2 ** -22;
    close[500] = 1 + 3 * 2 ** -23;
    const drawn = await drawMany(close, { ...ALL, topK: 3 }, 256);
    expect(sorted(new Set(drawn))).toEqual([10, 500, 990]);
  });
});

describe("sample() repeats itself", () => {
  test("alone and among 31 other rows, in any place", async () => {
    const vocabSize = 1031;
    const logits = normalLogits(32 * vocabSize, 2, 21);
    const requests = Array.from({ length: 32 }, (_, row): SampleRequest => ({
      temperature: row % 5 === 4 ? 0 : 0.5 + row / 16,
      topP: row % 3 === 0 ? 1 : 0.97,
      topK: row % 4 === 0 ? 0 : 10 * row,
      minP: row % 2 === 0 ? 0 : 0.01,
      seed: 1000 + row,
      tokenIndex: 3 * row,
    }));
    const together = await draw(logits, requests);
    const backwards = await draw(
      requests.reduce((rows, _, row) => {
        rows.set(logits.subarray(row * vocabSize, (row + 1) * vocabSize), (31 - row) * vocabSize);
        return rows;
      }, new Float32Array(logits.length)),
      requests.toReversed(),
    );
    expect(backwards.reverse()).toEqual(together);
    for (let row = 0; row < 32; row++) {
      const alone = logits.slice(row * vocabSize, (row + 1) * vocabSize);
      expect(await draw(alone, [requests[row]!])).toEqual([together[row]]);
    }
  });

  test("with the same seed, and differs with another one", async () => {
    const logits = normalLogits(1031, 0.5);
    const first = await drawMany(logits, { ...ALL, seed: 5 }, 64);
    expect(await drawMany(logits, { ...ALL, seed: 5 }, 64)).toEqual(first);
    const other = await drawMany(logits, { ...ALL, seed: 6 }, 64);
    expect(other.filter((id, i) => id === first[i]).length).toBeLessThan(8);
  });
});

describe("sample() on logits that are no numbers", () => {
  const requests: SampleRequest[] = [
    GREEDY,
    ALL,
    { ...ALL, topK: 3 },
    { ...ALL, topP: 0.5 },
    { ...ALL, temperature: 0.6, topK: 20, topP: 0.9, minP: 0.1 },
  ];
  const everyRequest = (logits: Float32Array) => draw(repeated(logits, requests.length), requests);

  test.each([
    ["NaN", 0x7fc00000],
    ["negative NaN", 0xffc00001],
    ["signalling NaN", 0x7f800001],
    ["-inf", 0xff800000],
  ])("a row of %s gives token 0", async (_, bits) => {
    const row = new Float32Array(new Uint32Array(1031).fill(bits).buffer);
    expect(await everyRequest(row)).toEqual([0, 0, 0, 0, 0]);
  });

  test.each([["NaN", NaN], ["-inf", -Infinity]])("%s is never drawn", async (_, value) => {
    const lone = new Float32Array(1031).fill(value);
    lone[600] = -3e38;
    expect(await everyRequest(lone)).toEqual([600, 600, 600, 600, 600]);
    const mixed = normalLogits(256, 1).map((logit, id) => id % 4 === 1 ? logit : value);
    const drawn = await drawMany(mixed, { ...ALL, topK: 100, topP: 0.999 }, 512);
    expect(drawn.filter((id) => id % 4 !== 1)).toEqual([]);
    expect(new Set(drawn).size).toBeGreaterThan(5);
  });

  test("+inf is always drawn", async () => {
    const row = normalLogits(1031, 3);
    row[123] = Infinity;
    row[124] = 3e37;
    row[125] = -3e38;
    expect(await everyRequest(row)).toEqual([123, 123, 123, 123, 123]);
  });
});

test("sample() leaves the rows beyond num_samples alone", async () => {
  const drawn = await draw(normalLogits(35, 1), Array<SampleRequest>(5).fill(GREEDY), 3);
  expect(drawn.slice(3)).toEqual([POISON, POISON]);
  expect(drawn.slice(0, 3)).not.toContain(POISON);
});

test("packSampleParams() refuses what cannot be sampled", () => {
  expect(() => packSampleParams([{ ...ALL, temperature: -1 }])).toThrow(RangeError);
  expect(() => packSampleParams([{ ...ALL, topP: NaN }])).toThrow(RangeError);
});
