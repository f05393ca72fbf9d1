import { describe, expect, test } from "vitest";
import { type Load, longest, UserRequests } from "../../bench/online/arrivals.ts";

const LOAD: Load = {
  seed: 0,
  arrivals: { type: "closed", thinkMs: 100 },
  promptTokens: 40,
  outputTokens: 20,
  vocabSize: 1000,
};

describe("UserRequests", () => {
  test("a seed decides everything, and each user has requests of their own", () => {
    expect(draw(LOAD, 3)).toEqual(draw(LOAD, 3));
    const prompts = [draw(LOAD, 0), draw(LOAD, 1), draw({ ...LOAD, seed: 1 }, 0)].flat()
      .map(({ promptTokenIds }) => promptTokenIds.join());
    expect(new Set(prompts).size).toBe(prompts.length);
  });

  test("lengths are within a quarter of the average, and on average the average", () => {
    const requests = draw(LOAD, 0, 2000).slice(1);
    const prompts = requests.map(({ promptTokenIds }) => promptTokenIds.length);
    const outputs = requests.map(({ maxTokens }) => maxTokens);
    expect([Math.min(...prompts), Math.max(...prompts)]).toEqual([30, 50]);
    expect([Math.min(...outputs), Math.max(...outputs)]).toEqual([15, 25]);
    expect(Math.max(...prompts)).toBe(longest(40));
    expect(mean(prompts)).toBeCloseTo(40, 0);
    expect(mean(outputs)).toBeCloseTo(20, 0);
  });

  test("prompts are of ids that the model has and that mean nothing", () => {
    const ids = draw(LOAD, 0, 200).flatMap(({ promptTokenIds }) => promptTokenIds);
    expect(Math.min(...ids)).toBe(256);
    expect(Math.max(...ids)).toBe(999);
    const tiny = draw({ ...LOAD, vocabSize: 256 }, 0).flatMap((request) => request.promptTokenIds);
    expect(Math.max(...tiny)).toBeLessThan(256);
  });

  test("users do not go on in step: their first answers are of any length up to a whole one", () => {
    const firsts = Array.from({ length: 300 }, (_, user) => draw(LOAD, user, 1)[0]!.maxTokens);
    expect(Math.min(...firsts)).toBeLessThan(4);
    expect(Math.max(...firsts)).toBeGreaterThan(20);
    expect(mean(firsts)).toBeLessThan(14);
  });

  test("waits are exponential: their deviation is their mean", () => {
    const waits = draw(LOAD, 0, 4000).map(({ waitMs }) => waitMs);
    const average = mean(waits);
    const deviation = Math.sqrt(mean(waits.map((wait) => (wait - average) ** 2)));
    expect(average / 100).toBeCloseTo(1, 1);
    expect(deviation / average).toBeCloseTo(1, 1);
    const arrivals = { type: "poisson", perUserPerS: 4 } as const;
    const between = draw({ ...LOAD, arrivals }, 0, 4000).map(({ waitMs }) => waitMs);
    expect(mean(between) / 250).toBeCloseTo(1, 1);
  });
});

function draw(load: Load, user: number, count = 5) {
  const requests = new UserRequests(load, user);
  return Array.from({ length: count }, () => requests.next());
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
