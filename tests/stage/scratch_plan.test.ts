import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { planScratch } from "../../src/stage/scratch_plan.ts";

describe("planScratch()", () => {
  test("lets the largest buffers of all blocks be one, then the next, whatever their order", () => {
    const plan = planScratch([{ qkv: 30, attended: 10 }, { gated: 20, gateUp: 40, gate: 5 }]);
    expect(plan.sizes).toEqual([40, 20, 5]);
    expect(plan.places).toEqual({ qkv: 0, gateUp: 0, attended: 1, gated: 1, gate: 2 });
  });

  test("keeps a name of several blocks apart, as large as any of them wants it", () => {
    const plan = planScratch([{ normed: 8, qkv: 30 }, { gateUp: 20, normed: 9 }]);
    expect(plan.sizes).toEqual([30, 9]);
    expect(plan.places).toEqual({ qkv: 0, gateUp: 0, normed: 1 });
  });

  test("gives every name of a block a buffer that is large enough and no other's of the block", () => {
    const block = fc.dictionary(fc.constantFrom(..."abcdefgh"), fc.nat(50));
    fc.assert(fc.property(fc.array(block, { maxLength: 4 }), (blocks) => {
      const { sizes, places } = planScratch(blocks);
      for (const sizeOf of blocks) {
        const names = Object.keys(sizeOf);
        expect(new Set(names.map((name) => places[name])).size).toBe(names.length);
        for (const name of names) {
          expect(sizes[places[name]!]).toBeGreaterThanOrEqual(sizeOf[name]!);
        }
      }
      const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
      const apart = blocks.flatMap((sizeOf) => Object.values(sizeOf));
      expect(total(sizes)).toBeLessThanOrEqual(total(apart));
      // A name that several blocks have shares with none of another name.
      for (const name of new Set(blocks.flatMap(Object.keys))) {
        if (blocks.filter((sizeOf) => name in sizeOf).length < 2) continue;
        const sharing = Object.keys(places).filter((other) => places[other] === places[name]);
        expect(sharing).toEqual([name]);
      }
    }));
  });
});
