import { describe, expect, test } from "vitest";
import type { Answer } from "../../bench/online/completion_client.ts";
import {
  interTokenMs,
  levelStatistics,
  overlappingInterTokenMs,
} from "../../bench/online/level_statistics.ts";
import { percentile } from "../../bench/online/percentile.ts";

describe("percentile()", () => {
  test("is a value that was seen, the smallest that enough do not exceed", () => {
    const values = Array.from({ length: 200 }, (_, i) => 200 - i);
    expect(percentile(values, 50)).toBe(100);
    expect(percentile(values, 99)).toBe(198);
    expect(percentile(values, 100)).toBe(200);
    expect(percentile([7], 1)).toBe(7);
    expect(percentile([], 50)).toBeNaN();
  });
});

describe("levelStatistics()", () => {
  const window = { startMs: 1000, endMs: 2000 };

  test("leaves out the ramp-up and the tail", () => {
    const steady = answer({ sentMs: 1100, tokenMs: [1300, 1350, 1400], endMs: 1410 });
    const alone = levelStatistics([steady], window);
    expect(alone).toEqual({
      numDone: 1,
      numFailed: 0,
      ttftMs: { p50: 200, p99: 200, max: 200 },
      interTokenMs: { p50: 50, p99: 50, max: 50 },
      tokensPerS: 3,
      tokensPerPiece: 1,
    });
    const rampUp = answer({ sentMs: 0, tokenMs: [500, 900], endMs: 950 });
    const tail = answer({ sentMs: 1900, tokenMs: [2100, 2900], endMs: 2900, outcome: "aborted" });
    expect(levelStatistics([rampUp, steady, tail], window)).toEqual(alone);
  });

  test("counts of an answer that reaches beyond the window what is inside", () => {
    const early = answer({ sentMs: 500, tokenMs: [900, 1000, 1100, 1180], endMs: 1190 });
    const late = answer({
      ...{ sentMs: 1700, tokenMs: [1900, 1990, 2100], endMs: 2100 },
      outcome: "aborted",
    });
    expect(levelStatistics([early, late], window)).toMatchObject({
      numDone: 1,
      ttftMs: { p50: 200, max: 200 },
      interTokenMs: { p50: 80, max: 90 },
      tokensPerS: 4,
    });
  });

  test("counts tokens without a text of their own as the server does", () => {
    const counted = answer({ sentMs: 1000, tokenMs: [1100, 1200], endMs: 1300, numTokens: 3 });
    expect(levelStatistics([counted], window)).toMatchObject({
      tokensPerPiece: 1.5,
      tokensPerS: 3,
    });
  });

  test("counts failures whenever they happen, and no times of them", () => {
    const failed = answer({ sentMs: 10, tokenMs: [], endMs: 20, outcome: "failed" });
    const { numDone, numFailed, ttftMs } = levelStatistics([failed], window);
    expect({ numDone, numFailed }).toEqual({ numDone: 0, numFailed: 1 });
    expect(ttftMs.p50).toBeNaN();
  });
});

describe("times between tokens", () => {
  const answers = [answer({ sentMs: 0, tokenMs: [10, 20, 50, 55, 90], endMs: 90 })];

  test("are inside a window with both ends", () => {
    expect(interTokenMs(answers, { startMs: 15, endMs: 60 })).toEqual([30, 5]);
  });

  test("or overlap it: who waits for another's prompt began before it and may end after it", () => {
    expect(overlappingInterTokenMs(answers, { startMs: 15, endMs: 60 })).toEqual([10, 30, 5, 35]);
    expect(overlappingInterTokenMs(answers, { startMs: 20, endMs: 55 })).toEqual([30, 5]);
  });
});

function answer({ numTokens, ...answer }: {
  readonly sentMs: number;
  readonly tokenMs: readonly number[];
  readonly endMs: number;
  readonly outcome?: Answer["outcome"];
  readonly numTokens?: number;
}): Answer {
  const usage = { completionTokens: numTokens ?? answer.tokenMs.length, cachedTokens: null };
  return { outcome: "done", error: null, usage, ...answer };
}
