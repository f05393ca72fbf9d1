import { describe, expect, test } from "vitest";
import { BLOCK_SIZE } from "../../src/core.ts";
import { f16ToNumber } from "../../src/formats/f16.ts";
import { kvBytes } from "../../src/kernels/kv_cache.ts";
import { kvStore } from "../../src/kernels/kv_store.ts";
import { kvStoreReference } from "../reference.ts";
import { openTestGpu, POISON } from "./gpu.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();
const NUM_BLOCKS = 6;

interface StoreCase {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly numTokens: number;
}

const CASES: readonly StoreCase[] = [
  { numHeads: 1, numKvHeads: 1, headDim: 16, numTokens: 1 },
  { numHeads: 9, numKvHeads: 3, headDim: 64, numTokens: 5 },
  { numHeads: 5, numKvHeads: 5, headDim: 36, numTokens: 17 },
  { numHeads: 2, numKvHeads: 1, headDim: 256, numTokens: 2 },
];

/** Stores at shuffled slots; K and V as words of the cache beside what they must be, NaN unwritten. */
async function store(test: StoreCase, isF16: boolean) {
  const { numHeads, numKvHeads, headDim, numTokens } = test;
  const random = new Random(headDim + numTokens);
  const stride = (numHeads + 2 * numKvHeads) * headDim;
  const keyOffset = numHeads * headDim;
  const qkv = random.floats(numTokens * stride, 3);
  const slots = random.shuffled(Array.from({ length: NUM_BLOCKS * BLOCK_SIZE }, (_, i) => i))
    .slice(0, numTokens);
  const shape = { numKvHeads, headDim, isF16 };
  const numWords = kvBytes(shape, NUM_BLOCKS) / 4;
  const [k, v] = [await gpu.output(numWords), await gpu.output(numWords)];
  const kernels = await gpu.kernels({ numTokens });
  await gpu.run(kvStore(kernels, {
    cache: { ...shape, k, v },
    tokenRows: await gpu.upload(Uint32Array.from(slots.flatMap((slot) => [7, 0, slot]))),
    qkv: await gpu.upload(qkv),
    stride,
    keyOffset,
    numTokens,
  }));
  return Promise.all([[k, keyOffset], [v, keyOffset + numKvHeads * headDim]].map(async (pair) => {
    const [buffer, offset] = pair as [GPUBuffer, number];
    const expected = new Float32Array(NUM_BLOCKS * numKvHeads * BLOCK_SIZE * headDim).fill(NaN);
    kvStoreReference(expected, { shape, rows: qkv, stride, offset, slots });
    return { words: await gpu.readWords(buffer), expected };
  }));
}

describe.each(CASES)("kv_store of $numTokens tokens, $numKvHeads heads of $headDim", (test_) => {
  test("writes every K and V to its slot in f32, and nothing else", async () => {
    for (const { words, expected } of await store(test_, false)) {
      const wanted = new Uint32Array(expected.buffer);
      expect(words).toEqual(wanted.map((word, i) => Number.isNaN(expected[i]) ? POISON : word));
    }
  });

  test("writes every K and V to its slot as the nearest f16, and nothing else", async () => {
    for (const { words, expected } of await store(test_, true)) {
      const halves = new Uint16Array(words.buffer);
      const wrong = [...expected].findIndex((value, i) => {
        if (Number.isNaN(value)) return halves[i] !== (POISON >>> (16 * (i % 2)) & 0xffff);
        // WGSL may round to either neighbour.
        return !(Math.abs(f16ToNumber(halves[i]!) - value) <=
          2 ** -10 * Math.abs(value) + 2 ** -24);
      });
      expect(wrong, `element ${wrong}: got ${halves[wrong]}, want ${expected[wrong]}`).toBe(-1);
    }
  });
});
