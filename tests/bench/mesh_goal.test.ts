import { expect, test } from "vitest";
import { compareWithGoal } from "../../bench/mesh/goal.ts";

test("a goal is met at its edge and missed beyond it", () => {
  expect(compareWithGoal(1, { atMost: 1 })).toEqual({ goal: "<= 1", ok: true });
  expect(compareWithGoal(1.01, { atMost: 1 })).toEqual({ goal: "<= 1", ok: false });
  expect(compareWithGoal(0.75, { atLeast: 0.75 })).toEqual({ goal: ">= 0.75", ok: true });
  expect(compareWithGoal(0.7, { atLeast: 0.75 })).toEqual({ goal: ">= 0.75", ok: false });
});

test("what was not measured meets no goal", () => {
  expect(compareWithGoal(NaN, { atMost: 1 }).ok).toBe(false);
  expect(compareWithGoal(NaN, { atLeast: 1 }).ok).toBe(false);
});
