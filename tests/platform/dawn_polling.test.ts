import { describe, expect, test } from "vitest";
import { pollDelayMs } from "../../src/platform/dawn_polling.ts";

/** When polls of a wait happen, until `untilMs`. */
function polls(expectedMs: number, untilMs: number): number[] {
  const times: number[] = [];
  for (let nowMs = 0; nowMs < untilMs;) {
    nowMs += pollDelayMs({ startMs: 0, expectedMs }, nowMs);
    times.push(nowMs);
  }
  return times;
}

describe("pollDelayMs()", () => {
  test("polls a wait of a known length only towards its end", () => {
    const times = polls(10, 10);
    expect(times[0]).toBeCloseTo(9.5);
    expect(times.length).toBeLessThanOrEqual(3);
  });

  test("polls an unknown wait ever more rarely, and never later than half of it too late", () => {
    const times = polls(0, 1000);
    expect(times.length).toBeLessThan(100);
    times.forEach((time, i) => {
      const previous = times[i - 1] ?? 0;
      expect(time - previous).toBeLessThanOrEqual(Math.max(0.05, previous * 0.5) + 1e-9);
    });
  });

  test("a wait that is shorter than the last one is found out within 20 ms", () => {
    expect(polls(5000, 100)[0]).toBeLessThanOrEqual(20);
  });
});

test("a short wait that is over sooner than expected gets shorter and shorter", () => {
  const TRUE_MS = 0.1;
  let expectedMs = 1;
  for (let i = 0; i < 10; i++) {
    let nowMs = 0;
    let numPolls = 0;
    while (nowMs < TRUE_MS || numPolls === 0) {
      nowMs += pollDelayMs({ startMs: 0, expectedMs }, nowMs);
      numPolls++;
    }
    expect(numPolls).toBeLessThan(5);
    expectedMs = nowMs;
  }
  expect(expectedMs).toBeLessThan(2 * TRUE_MS);
});
