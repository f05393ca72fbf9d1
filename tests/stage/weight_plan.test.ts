import { expect, test } from "vitest";
import type { WeightFormat } from "../../src/core.ts";
import type { TensorEntry } from "../../src/formats/tensor_entry.ts";
import { chunkRows, planParts } from "../../src/stage/weight_plan.ts";

function tensor(name: string, format: WeightFormat, shape: readonly number[]): TensorEntry {
  return { name, format, shape, offset: 0, byteLength: 0 };
}

test("neighbours of one format share a buffer, others start a new one", () => {
  const { parts, numRows } = planParts([
    tensor("q", "q4_0", [64, 64]),
    tensor("k", "q4_0", [32, 64]),
    tensor("v", "q8_0", [32, 64]),
  ], { maxBytes: 1 << 20 });
  expect(numRows).toBe(128);
  expect(parts.map(({ format, startRow, numRows }) => [format, startRow, numRows]))
    .toEqual([["q4_0", 0, 96], ["q8_0", 96, 32]]);
});

test("an odd number of blocks ends a part, because two scales share a word", () => {
  const { parts } = planParts(
    [tensor("q", "q4_0", [3, 32]), tensor("k", "q4_0", [2, 32])],
    { maxBytes: 1 << 20 },
  );
  expect(parts.map(({ numRows }) => numRows)).toEqual([3, 2]);
});

test("no part passes the binding limit, and rows are covered once and in order", () => {
  const maxBytes = 10_000;
  const { parts, numRows } = planParts([tensor("e", "bf16", [1001, 100])], { maxBytes });
  expect(numRows).toBe(1001);
  let nextRow = 0;
  for (const part of parts) {
    expect(part.startRow).toBe(nextRow);
    expect(part.planes.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(maxBytes);
    nextRow += part.numRows;
  }
  expect(nextRow).toBe(1001);
});

test("tensors that do not fit under each other are refused by name", () => {
  expect(() =>
    planParts([tensor("a", "f32", [4, 8]), tensor("b", "f32", [4, 9])], { maxBytes: 99 })
  )
    .toThrow('Tensor "b" has shape [4,9]');
  expect(() => planParts([tensor("a", "q4_k", [4, 64])], { maxBytes: 1 << 20 }))
    .toThrow('no whole "q4_k" blocks');
  expect(() => planParts([tensor("a", "f32", [4, 64])], { maxBytes: 100 }))
    .toThrow("largest binding");
});

test("chunks have an even number of rows", () => {
  expect(chunkRows("q8_0", 4096, 8 << 20) % 2).toBe(0);
  expect(chunkRows("f32", 1 << 24, 8 << 20)).toBe(2);
});
