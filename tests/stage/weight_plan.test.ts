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

test("transposed matrices of one tensor are never divided", () => {
  const experts = tensor("e", "bf16", [5, 8, 6]);
  const { parts, numRows, numCols } = planParts([experts], {
    ...{ maxBytes: 200, groupRows: 6, numTransposed: 5 },
  });
  expect([numRows, numCols]).toEqual([30, 8]);
  expect(parts.map(({ startRow, numRows }) => [startRow, numRows]))
    .toEqual([[0, 12], [12, 12], [24, 6]]);
  expect(parts.flatMap(({ ranges }) => ranges.map((range) => [range.startRow, range.endRow])))
    .toEqual([[0, 6], [6, 12], [12, 18], [18, 24], [24, 30]]);
  const plan = (shape: readonly number[], format: WeightFormat = "bf16") => () =>
    planParts([tensor("e", format, shape)], { maxBytes: 200, groupRows: 6, numTransposed: 5 });
  expect(plan([4, 8, 6])).toThrow("expected 5 matrices");
  expect(plan([40, 6])).toThrow("expected 5 matrices");
  expect(plan([5, 32, 6], "q8_0")).toThrow("blocks cannot be transposed");
  expect(plan([5, 80, 6])).toThrow("largest binding");
});

test("chunks have an even number of rows", () => {
  expect(chunkRows("q8_0", 4096, 8 << 20) % 2).toBe(0);
  expect(chunkRows("f32", 1 << 24, 8 << 20)).toBe(2);
});

test("groups of rows are never divided, and as many as fit share a buffer", () => {
  const experts = Array.from({ length: 5 }, (_, i) => tensor(`expert ${i}`, "bf16", [10, 50]));
  const pairs = experts.flatMap((expert) => [expert, { ...expert, name: `${expert.name} up` }]);
  const limits = { maxBytes: 4999, groupRows: 20 };
  const { parts, numRows } = planParts(pairs, limits);
  expect(numRows).toBe(100);
  expect(parts.map(({ startRow, numRows }) => [startRow, numRows]))
    .toEqual([[0, 40], [40, 40], [80, 20]]);
  expect(() => planParts(pairs, { ...limits, maxBytes: 1999 })).toThrow("largest binding");
  expect(() => planParts(pairs.slice(1, 4), limits)).toThrow('"expert 1 up" ends within a group');
  expect(() => planParts([experts[0]!, tensor("up", "f16", [10, 50])], limits))
    .toThrow("one format");
});
