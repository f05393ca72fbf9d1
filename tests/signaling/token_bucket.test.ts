import fc from "fast-check";
import { expect, it } from "vitest";
import { TokenBucket } from "../../signaling/token_bucket.ts";

it("gives a burst and its rate, and never more in any span of time", () => {
  const steps = fc.array(
    fc.record({ waitMs: fc.nat(500), amount: fc.integer({ min: 1, max: 5 }) }),
  );
  fc.assert(fc.property(steps, (steps) => {
    const [ratePerS, burst] = [50, 10];
    const bucket = new TokenBucket({ ratePerS, burst }, 0);
    const taken: { atMs: number; amount: number }[] = [];
    let nowMs = 0;
    for (const { waitMs, amount } of steps) {
      nowMs += waitMs;
      if (bucket.waitMs(amount, nowMs) > 0) continue;
      bucket.take(amount, nowMs);
      taken.push({ atMs: nowMs, amount });
    }
    for (let first = 0; first < taken.length; first++) {
      let sum = 0;
      for (const { atMs, amount } of taken.slice(first)) {
        sum += amount;
        const spanMs = atMs - taken[first]!.atMs;
        expect(sum).toBeLessThanOrEqual(burst + spanMs * ratePerS / 1000 + 1e-6);
      }
    }
  }));
});

it("waitMs() says when, and not too late", () => {
  const bucket = new TokenBucket({ ratePerS: 50, burst: 10 }, 1000);
  expect(bucket.waitMs(10, 1000)).toBe(0);
  bucket.take(10, 1000);
  expect(bucket.waitMs(1, 1000)).toBe(20);
  expect(bucket.waitMs(1, 1019)).toBe(1);
  expect(bucket.waitMs(1, 1020)).toBe(0);
  expect(bucket.waitMs(1000, 1020)).toBe(180);
  expect(bucket.waitMs(10, 9000)).toBe(0);
});

it("goes on when time stands still or steps back", () => {
  const bucket = new TokenBucket({ ratePerS: 50, burst: 1 }, 1000);
  bucket.take(1, 1000);
  expect(bucket.waitMs(1, 0)).toBe(20);
  expect(bucket.waitMs(1, 1020)).toBe(0);
});
