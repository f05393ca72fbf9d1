import { expect, test } from "vitest";
import { LockstepEngine } from "../../bench/streaming/lockstep_engine.ts";
import { DEFAULT_SAMPLING } from "../../src/core.ts";

test("sequences get a token each once all of them wait for one", async () => {
  let numStarts = 0;
  const engine = new LockstepEngine({ numSequences: 2, onStart: () => numStarts++ });
  const sampling = { ...DEFAULT_SAMPLING, maxTokens: 2 };
  const [a, b] = [engine.generate([], sampling), engine.generate([], sampling)];
  let hasToken = false;
  const first = a.next().then(({ value }) => {
    hasToken = true;
    return value;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([hasToken, numStarts]).toEqual([false, 0]);
  const values = [await b.next().then(({ value }) => value), await first];
  for (const value of values) expect(value).toMatchObject({ tokenIds: [1], finishReason: null });
  const last = await Promise.all([a.next(), b.next()]);
  for (const { value } of last) {
    expect(value).toMatchObject({ tokenIds: [2], finishReason: "length" });
  }
  expect(numStarts).toBe(1);
});
