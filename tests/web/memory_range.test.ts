import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { clampMemory, GIB, memoryRange } from "../../web/src/memory_range.ts";

describe("memoryRange()", () => {
  test("offers 2 GiB of a device that tells nothing against it", () => {
    const range = memoryRange({ deviceMemoryGiB: 8, maxBufferBytes: 4 * GIB });
    expect(range).toMatchObject({ defaultBytes: 2 * GIB, maxBytes: 32 * GIB });
  });

  test("leaves a small device two fifths of its memory", () => {
    const range = memoryRange({ deviceMemoryGiB: 2, maxBufferBytes: 4 * GIB });
    expect(range).toMatchObject({ defaultBytes: GIB, maxBytes: GIB });
  });

  test("takes small buffers for a small GPU", () => {
    const range = memoryRange({ deviceMemoryGiB: null, maxBufferBytes: GIB / 4 });
    expect(range.maxBytes).toBe(4 * GIB);
  });

  test("is a range of whole steps for every device, and every choice is clamped into it", () => {
    const hints = fc.record({
      deviceMemoryGiB: fc.option(fc.constantFrom(0.25, 0.5, 1, 2, 4, 8, 32)),
      maxBufferBytes: fc.integer({ min: 1, max: 2 ** 40 }),
    });
    fc.assert(
      fc.property(hints, fc.double({ min: -1, max: 2 ** 50, noNaN: true }), (hints, wanted) => {
        const range = memoryRange(hints);
        for (const bytes of [range.maxBytes, range.defaultBytes, clampMemory(wanted, range)]) {
          expect(bytes % range.stepBytes).toBe(0);
          expect(bytes).toBeGreaterThanOrEqual(range.minBytes);
          expect(bytes).toBeLessThanOrEqual(range.maxBytes);
        }
      }),
    );
  });
});
