import { expect, test } from "vitest";
import { rate } from "../../bench/cost.ts";
import { parseKey } from "../../bench/kernel_times.ts";
import { programCost } from "../../bench/program_cost.ts";
import { shapeConfig } from "../../bench/shapes.ts";

const STEP = {
  config: shapeConfig("llama-8b"),
  shape: { numTokens: 8, numSamples: 2, numDecodeRows: 8, numTiles: 0, numSlices: 8, numChunks: 0 },
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

test("programCost() counts no position that a sliding layer does not see", () => {
  const costOf = (window: string) => {
    const { kernel, constants } = parseKey(`attention_decode KV_F16=false ${window}`);
    return programCost(kernel, constants, STEP);
  };
  const seenBy = (numSeen: number) => {
    const { kernel, constants } = parseKey("attention_decode KV_F16=false");
    return programCost(kernel, constants, { ...STEP, numSeen });
  };
  expect(costOf("WINDOWED=true WINDOW=32")).toEqual(seenBy(32));
  expect(costOf("WINDOWED=true WINDOW=128")).toEqual(seenBy(100));
  expect(costOf("WINDOWED=false WINDOW=0")).toEqual(seenBy(100));
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

test("programCost() counts only the experts that the tokens chose", () => {
  const moe = { config: shapeConfig("qwen3-30b-a3b") };
  const costOf = (key: string, numTokens: number) => {
    const { kernel, constants } = parseKey(key);
    return programCost(kernel, constants, {
      ...STEP,
      ...moe,
      shape: { ...STEP.shape, numTokens },
    })!;
  };
  // 8 of 128 experts of 2 x 768 rows.
  const whole = `expert_gate_up WEIGHT_FORMAT=f16 ROWS=${128 * 1536} COLS=2048 EXPERT_SIZE=768`;
  const one = costOf(whole, 1);
  expect(one.bytes).toBeCloseTo(8 * 1536 * 2048 * 2 + 4 * (2048 + 8 * 768), -1);
  expect(one.flops).toBe(2 * 8 * 1536 * 2048);
  // Two tokens share some, and a prompt reads all.
  const weights = (numTokens: number) =>
    (costOf(whole, numTokens).bytes - numTokens * 4 * (2048 + 8 * 768)) / (1536 * 2048 * 2);
  expect(weights(2)).toBeCloseTo(8 + 8 * 120 / 128, 3);
  expect(weights(512)).toBeCloseTo(128, 3);
  // Half of the experts in a buffer of their own are half of the work.
  const half = costOf(whole.replace(`${128 * 1536}`, `${64 * 1536}`), 1);
  expect(half).toEqual({ bytes: one.bytes / 2, flops: one.flops / 2 });
});

test("programCost() knows every program of linear attention that moves much", () => {
  const linear = { ...STEP, config: shapeConfig("qwen3-next-80b-a3b") };
  const costOf = (key: string) => {
    const { kernel, constants } = parseKey(key);
    return programCost(kernel, constants, linear);
  };
  // States of 32 heads of 128 x 128, read and written for 8 sequences.
  const stateBytes = 8 * 8 * 32 * 128 * 128;
  expect(costOf("delta_rule ONLY_SHORT=false")!.bytes).toBeGreaterThan(stateBytes);
  expect(costOf("delta_chunks")).toEqual(costOf("delta_rule ONLY_SHORT=false"));
  expect(costOf("delta_rule ONLY_SHORT=true")).toBeNull();
  expect(costOf("causal_conv")!.bytes).toBeGreaterThan(0);
  expect(costOf("delta_solve")!.flops).toBeGreaterThan(0);
});
