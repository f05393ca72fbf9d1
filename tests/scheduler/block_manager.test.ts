import { expect, test } from "vitest";
import fc from "fast-check";
import { BlockManager, numBlocksFor } from "../../src/scheduler/block_manager.ts";

test("numBlocksFor() rounds up to whole blocks of 16", () => {
  expect([0, 1, 16, 17, 32].map(numBlocksFor)).toEqual([0, 1, 1, 2, 2]);
});

test("take() gives out each block once, the one freed last first", () => {
  const blocks = new BlockManager(3);
  expect([blocks.take(), blocks.take(), blocks.take(), blocks.take()]).toEqual([0, 1, 2, null]);
  blocks.release(1);
  blocks.release(2);
  expect([blocks.take(), blocks.take()]).toEqual([2, 1]);
  blocks.checkIntegrity([[0, 1], [2]]);
});

test("a retained block is free only after its last holder lets go", () => {
  const blocks = new BlockManager(2);
  const block = blocks.take()!;
  blocks.retain(block);
  blocks.checkIntegrity([[block], [block]]);
  expect(blocks.release(block)).toBe(1);
  expect(blocks.numFreeBlocks).toBe(1);
  expect(blocks.release(block)).toBe(0);
  expect(blocks.numFreeBlocks).toBe(2);
});

test("freeing twice, keeping a free block and unknown blocks are caught", () => {
  const blocks = new BlockManager(2);
  const block = blocks.take()!;
  blocks.release(block);
  expect(() => blocks.release(block)).toThrow('Block "0" is already free');
  expect(() => blocks.retain(block)).toThrow('Block "0" is already free');
  expect(() => blocks.release(7)).toThrow('Block "7" is not in the pool');
  expect(() => blocks.checkIntegrity([[block]])).toThrow(
    'Block "0" counts 0 references but has 1 holders',
  );
  expect(() => blocks.checkIntegrity([[9]])).toThrow('Block "9" is not in the pool');
});

test("checkIntegrity() finds a block that nobody holds", () => {
  const blocks = new BlockManager(2);
  blocks.take();
  expect(() => blocks.checkIntegrity([])).toThrow(
    'Block "0" counts 1 references but has 0 holders',
  );
});

test("a pool without blocks is refused", () => {
  expect(() => new BlockManager(0)).toThrow('A KV pool needs at least 1 block, got "0"');
  expect(() => new BlockManager(1.5)).toThrow(RangeError);
});

test("any order of taking, sharing and releasing keeps every block free or owned", () => {
  const action = fc.record({
    verb: fc.constantFrom("take", "share", "release"),
    holder: fc.nat(5),
    block: fc.nat(20),
  });
  fc.assert(fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
    const blocks = new BlockManager(10);
    const holders: number[][] = Array.from({ length: 6 }, () => []);
    for (const { verb, holder, block } of actions) {
      const chosen = holders[holder]!;
      const index = block % Math.max(1, chosen.length);
      if (verb === "take") chosen.push(...[blocks.take()].filter((taken) => taken !== null));
      if (verb === "release") chosen.splice(index, 1).forEach((held) => blocks.release(held));
      if (verb === "share" && chosen.length > 0) {
        blocks.retain(chosen[index]!);
        holders[(holder + 1) % 6]!.push(chosen[index]!);
      }
      blocks.checkIntegrity(holders);
    }
    for (const block of holders.flat()) blocks.release(block);
    expect(blocks.numFreeBlocks).toBe(10);
  }));
});
