import { expect, test } from "vitest";
import { FinishRate } from "../../src/server/finish_rate.ts";
import { ManualClock } from "./clocks.ts";

test("the pace is that of the last ends, and time with nothing open does not count", () => {
  const clock = new ManualClock();
  const rate = new FinishRate(clock);
  // One a second, with an hour of nothing after each.
  for (let i = 0; i < 10; i++) {
    rate.begin();
    clock.advance(1000);
    rate.end();
    clock.advance(3_600_000);
  }
  expect(rate.secondsFor(20)).toBeCloseTo(20);
  // Then ten times as fast, until the slow ones are forgotten.
  rate.begin();
  for (let i = 0; i < 100; i++) {
    rate.begin();
    clock.advance(100);
    rate.end();
  }
  expect(rate.secondsFor(20)).toBeCloseTo(2);
});

test("while nothing ends, the estimate grows with the wait", () => {
  const clock = new ManualClock();
  const rate = new FinishRate(clock);
  expect(rate.secondsFor(5)).toBe(0);
  rate.begin();
  clock.advance(3000);
  expect(rate.secondsFor(5)).toBe(15);
  rate.end();
  rate.begin();
  clock.advance(3000);
  expect(rate.secondsFor(5)).toBe(30);
});
