import { describe, expect, test } from "vitest";
import { BLOCK_SIZE } from "../../src/core.ts";
import { f16ToNumber } from "../../src/formats/f16.ts";
import { latentBytes, latentWidth } from "../../src/kernels/latent_cache.ts";
import { latentStore } from "../../src/kernels/latent_store.ts";
import type { Expected } from "../reference.ts";
import { latentRowsReference, wholeQuads } from "./latent_reference.ts";
import { expectWithin } from "./expect_within.ts";
import { openTestGpu, POISON } from "./gpu.ts";
import { angleTable, THETA, tokenRowsOf } from "./latent_case.ts";
import { Random } from "./random.ts";
import { sumVariants } from "./variants.ts";

const gpu = await openTestGpu();
const NUM_BLOCKS = 4;
const EPS = 1e-6;
const POSITIONS = [0, 1, 199, 7, 63];
const SLOTS = [3, 63, 0, 17, 40];

interface StoreShape {
  readonly latentDim: number;
  readonly ropeDim: number;
  readonly isInterleaved: boolean;
}

const SHAPES: readonly StoreShape[] = [
  { latentDim: 4, ropeDim: 4, isInterleaved: true },
  { latentDim: 36, ropeDim: 12, isInterleaved: false },
  { latentDim: 33, ropeDim: 6, isInterleaved: true },
  { latentDim: 300, ropeDim: 64, isInterleaved: true },
];

/** Words of the cache after the tokens were stored. */
async function store(
  { isInterleaved, ...shape }: StoreShape,
  { isF16, tokens = POSITIONS.map((_, i) => i), tuning = {} }: {
    readonly isF16: boolean;
    readonly tokens?: readonly number[];
    readonly tuning?: object;
  },
): Promise<Uint32Array<ArrayBuffer>> {
  const cache = { ...shape, isF16 };
  const latents = await gpu.output(latentBytes(cache, NUM_BLOCKS) / 4);
  const { projected, normWeight } = operands(shape);
  const width = shape.latentDim + shape.ropeDim;
  const own = tokens.flatMap((t) => [...projected.subarray(t * width, (t + 1) * width)]);
  const numTokens = tokens.length;
  const pick = (values: readonly number[]) => tokens.map((t) => values[t]!);
  await gpu.run(latentStore(await gpu.kernels({ numTokens }, tuning), {
    cache: { ...cache, latents },
    tokenRows: await gpu.upload(tokenRowsOf(pick(POSITIONS), pick(SLOTS))),
    normWeight: await gpu.upload(normWeight),
    eps: EPS,
    angles: await gpu.upload(angleTable(shape.ropeDim)),
    isInterleaved,
    projected: await gpu.upload(Float32Array.from(own)),
    numTokens,
  }));
  return gpu.readWords(latents);
}

function operands({ latentDim, ropeDim }: Pick<StoreShape, "latentDim" | "ropeDim">) {
  const random = new Random(latentDim);
  return {
    projected: random.floats(POSITIONS.length * (latentDim + ropeDim), 3),
    normWeight: random.floats(latentDim, 2),
  };
}

/** Row of a token, as f32; NaN where nothing was written. */
function rowOf(words: Uint32Array<ArrayBuffer>, slot: number, width: number, isF16: boolean) {
  const all = isF16
    ? Float32Array.from(new Uint16Array(words.buffer), f16ToNumber)
    : new Float32Array(words.buffer);
  return all.slice(slot * width, (slot + 1) * width);
}

/** What rounding to f16, in either direction, adds. */
function halved({ values, bounds }: Expected): Expected {
  const widened = bounds.map((bound, i) => bound + 2 ** -10 * Math.abs(values[i]!) + 2 ** -24);
  return { values, bounds: widened };
}

describe.each(SHAPES)(
  "latent_store of $latentDim + $ropeDim, interleaved $isInterleaved",
  (shape) => {
    const width = latentWidth(shape);
    const rows = latentRowsReference(operands(shape).projected, {
      ...shape,
      normWeight: operands(shape).normWeight,
      eps: EPS,
      positions: POSITIONS,
      theta: THETA,
    });
    const expected = {
      values: wholeQuads(rows.values, shape),
      bounds: wholeQuads(rows.bounds, shape),
    };

    for (const { name, tuning } of sumVariants(gpu.context.capabilities)) {
      test.each([false, true])(`writes each row to its slot, ${name}, f16 %s`, async (isF16) => {
        const words = await store(shape, { isF16, tuning });
        SLOTS.forEach((slot, t) => {
          const range = [t * width, (t + 1) * width] as const;
          const row = {
            values: expected.values.slice(...range),
            bounds: expected.bounds.slice(...range),
          };
          expectWithin(rowOf(words, slot, width, isF16), isF16 ? halved(row) : row);
        });
        const rowWords = width / (isF16 ? 2 : 1);
        for (let slot = 0; slot < NUM_BLOCKS * BLOCK_SIZE; slot++) {
          if (SLOTS.includes(slot)) continue;
          const row = words.subarray(slot * rowWords, (slot + 1) * rowWords);
          expect(row.every((word) => word === POISON)).toBe(true);
        }
      });
    }

    test("gives a token the same bits alone and among others", async () => {
      const together = await store(shape, { isF16: false });
      for (const [t, slot] of SLOTS.entries()) {
        const alone = await store(shape, { isF16: false, tokens: [t] });
        expect(alone.slice(slot * width, (slot + 1) * width))
          .toEqual(together.slice(slot * width, (slot + 1) * width));
      }
    });
  },
);
