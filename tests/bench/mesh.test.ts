import { expect, test } from "vitest";
import { benchMesh } from "../../bench/mesh.ts";
import { TimedStage } from "../../bench/mesh/timed_stage.ts";
import { OptionError, parseOptions } from "../../bench/options.ts";

test("a measure that does not exist is refused with those that do", async () => {
  const refused = benchMesh(parseOptions(["--only", "hop,jump"]));
  await expect(refused).rejects.toThrow(OptionError);
  await expect(refused).rejects.toThrow(/no measure "jump": use one-way, bulk,/);
});

test("a stage's time leaves out the wait for the step before", async () => {
  let nowMs = 0;
  const clock = { now: () => nowMs, sleep: () => Promise.resolve() };
  const finishes: (() => void)[] = [];
  const shard = { startLayer: 0, endLayer: 1, hasEmbedding: false, hasHead: false };
  const stage = new TimedStage({
    shard,
    forward: () =>
      new Promise((resolve) => finishes.push(() => resolve({ type: "tokens", tokens: [] }))),
    close: () => {},
  }, clock);
  const batch = { stepId: 0, slices: [] };
  const steps = [stage.forward(batch, null), stage.forward(batch, null)];
  for (const [i, atMs] of [10, 30].entries()) {
    nowMs = atMs;
    finishes[i]!();
    await steps[i];
  }
  // 10 ms, and the 20 ms after it.
  expect(stage.takeMedianMs()).toBe(15);
  expect(stage.takeMedianMs()).toBeNaN();
});
