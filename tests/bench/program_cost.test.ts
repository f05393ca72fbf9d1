import { expect, test } from "vitest";
import { rate } from "../../bench/cost.ts";
import { parseKey } from "../../bench/kernel_times.ts";
import { programCost } from "../../bench/program_cost.ts";
import { shapeConfig } from "../../bench/shapes.ts";

const STEP = {
  config: shapeConfig("llama-8b"),
  shape: { numTokens: 8, numSamples: 2, numDecodeRows: 8, numTiles: 0, numSlices: 8 },
  numSeen: 100,
  queriesPerRead: 1,
};

test("programCost() reads a matrix once for all tokens", () => {
  const { kernel, constants } = parseKey(
    "matvec WEIGHT_FORMAT=q4_0 ROWS=4096 COLS=4096 ACCUMULATE=true FOR_SAMPLES=false",
  );
  const weightBytes = 4096 * 4096 * 18 / 32;
  expect(programCost(kernel, constants, STEP)).toEqual({
    bytes: weightBytes + 4 * 8 * (4096 + 2 * 4096),
    flops: 2 * 4096 * 4096 * 8,
  });
});

test("programCost() counts the sampled rows alone where the program does", () => {
  const { kernel, constants } = parseKey(
    "matvec WEIGHT_FORMAT=f16 ROWS=1000 COLS=64 ACCUMULATE=false FOR_SAMPLES=true",
  );
  expect(programCost(kernel, constants, STEP)?.flops).toBe(2 * 1000 * 64 * 2);
});

test("programCost() gives null for a program that it does not know", () => {
  expect(programCost("unheard_of", new Map(), STEP)).toBeNull();
});

test("rate() names the ceiling that is nearer", () => {
  const ceilings = { gbPerS: 100, gflops: 1000 };
  expect(rate({ bytes: 5e7, flops: 1e6 }, 1, ceilings)).toEqual({
    gbPerS: 50,
    ceiling: 100,
    share: 0.5,
  });
  expect(rate({ bytes: 1e6, flops: 25e7 }, 1, ceilings)).toEqual({
    gflops: 250,
    ceiling: 1000,
    share: 0.25,
  });
});
