import { expect, test } from "vitest";
import { StepDeadline } from "../../src/pipeline/step_deadline.ts";

test("a first step has time to compile its shaders", () => {
  expect(new StepDeadline().limitMs(1)).toBe(180_000);
});

test("a step may take twenty times what the slowest of late took, and never less than 10 s", () => {
  const deadline = new StepDeadline();
  deadline.record({ elapsedMs: 50, numTokens: 8 });
  expect(deadline.limitMs(8)).toBe(10_000);
  deadline.record({ elapsedMs: 2_000, numTokens: 8 });
  deadline.record({ elapsedMs: 60, numTokens: 8 });
  expect(deadline.limitMs(1)).toBe(40_000);
  // Twice the tokens, twice the time; but nobody waits for ever.
  expect(deadline.limitMs(16)).toBe(80_000);
  expect(deadline.limitMs(100_000)).toBe(180_000);
});

test("the step that compiled the shaders is forgotten after a while", () => {
  const deadline = new StepDeadline();
  deadline.record({ elapsedMs: 60_000, numTokens: 1 });
  expect(deadline.limitMs(1)).toBe(180_000);
  for (let i = 0; i < 64; i++) deadline.record({ elapsedMs: 40, numTokens: 4 });
  expect(deadline.limitMs(4)).toBe(10_000);
});
