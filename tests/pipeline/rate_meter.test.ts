import { expect, test } from "vitest";
import { RateMeter } from "../../src/pipeline/rate_meter.ts";

test("the rate is that of the last seconds", () => {
  const meter = new RateMeter(5_000);
  expect(meter.perSecond).toBe(0);
  meter.record(100, 0);
  expect(meter.perSecond).toBe(0);
  for (let s = 1; s <= 10; s++) meter.record(100 + 20 * s, 1000 * s);
  expect(meter.perSecond).toBe(20);
  for (let s = 11; s <= 16; s++) meter.record(300, 1000 * s);
  expect(meter.perSecond).toBe(0);
});

test("a total that fell starts anew, as does a time that stands still", () => {
  const meter = new RateMeter();
  meter.record(500, 0);
  meter.record(600, 1000);
  meter.record(10, 2000);
  expect(meter.perSecond).toBe(0);
  meter.record(40, 2000);
  expect(meter.perSecond).toBe(0);
  meter.record(40, 3000);
  expect(meter.perSecond).toBe(30);
});
