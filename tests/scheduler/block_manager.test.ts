import { expect, test } from "vitest";
import fc from "fast-check";
import { BlockManager, numBlocksFor } from "../../src/scheduler/block_manager.ts";

test("numBlocksFor() rounds up to whole blocks of 16", () => {
  expect([0, 1, 16, 17, 32].map(numBlocksFor)).toEqual([0, 1, 1, 2, 2]);
});

test("grow() appends only what the table lacks", () => {
  const blocks = new BlockManager(4);
  const table: number[] = [];
  expect(blocks.grow(table, 20)).toBe(true);
  expect(table).toEqual([0, 1]);
  expect(blocks.grow(table, 32)).toBe(true);
  expect(table).toEqual([0, 1]);
  expect(blocks.grow(table, 33)).toBe(true);
  expect(table).toEqual([0, 1, 2]);
  expect(blocks.numFreeBlocks).toBe(1);
  blocks.checkIntegrity([table]);
});

test("grow() changes nothing when there are too few blocks", () => {
  const blocks = new BlockManager(3);
  const table: number[] = [];
  blocks.grow(table, 16);
  expect(blocks.grow(table, 65)).toBe(false);
  expect(table).toEqual([0]);
  expect(blocks.numFreeBlocks).toBe(2);
  blocks.checkIntegrity([table]);
});

test("a retained block is free only after its last table lets go", () => {
  const blocks = new BlockManager(2);
  const table: number[] = [];
  blocks.grow(table, 16);
  const shared = [...table];
  blocks.retain(shared);
  blocks.checkIntegrity([table, shared]);
  blocks.release(table);
  expect(blocks.numFreeBlocks).toBe(1);
  blocks.checkIntegrity([shared]);
  blocks.release(shared);
  expect(blocks.numFreeBlocks).toBe(2);
});

test("freeing twice, keeping a free block and unknown blocks are caught", () => {
  const blocks = new BlockManager(2);
  const table: number[] = [];
  blocks.grow(table, 1);
  const stale = [...table];
  blocks.release(table);
  expect(() => blocks.release([...stale])).toThrow('Block "0" is already free');
  expect(() => blocks.retain(stale)).toThrow('Block "0" is already free');
  expect(() => blocks.release([7])).toThrow('Block "7" is not in the pool');
  expect(() => blocks.checkIntegrity([stale])).toThrow(
    'Block "0" counts 0 references but is in 1 tables',
  );
  expect(() => blocks.checkIntegrity([[9]])).toThrow('Block "9" is not in the pool');
});

test("checkIntegrity() finds a block that nobody holds", () => {
  const blocks = new BlockManager(2);
  blocks.grow([], 1);
  expect(() => blocks.checkIntegrity([])).toThrow(
    'Block "0" counts 1 references but is in 0 tables',
  );
});

test("a pool without blocks is refused", () => {
  expect(() => new BlockManager(0)).toThrow('A KV pool needs at least 1 block, got "0"');
  expect(() => new BlockManager(1.5)).toThrow(RangeError);
});

test("any order of growing, sharing and releasing keeps every block free or owned", () => {
  const action = fc.record({
    verb: fc.constantFrom("grow", "share", "release"),
    table: fc.nat(5),
    numTokens: fc.nat(100),
  });
  fc.assert(fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
    const blocks = new BlockManager(10);
    const tables: number[][] = Array.from({ length: 6 }, () => []);
    for (const { verb, table, numTokens } of actions) {
      const chosen = tables[table]!;
      if (verb === "grow") blocks.grow(chosen, numTokens);
      if (verb === "release") blocks.release(chosen);
      if (verb === "share") {
        blocks.retain(chosen);
        tables.push([...chosen]);
      }
      blocks.checkIntegrity(tables);
    }
    for (const table of tables) blocks.release(table);
    expect(blocks.numFreeBlocks).toBe(10);
  }));
});
