import { expect, test } from "vitest";
import { DEFAULT_SAMPLING } from "../../src/core.ts";
import { hasPenalty, TokenCounts } from "../../src/scheduler/token_counts.ts";

test("hasPenalty() is true for each penalty alone", () => {
  expect(hasPenalty(DEFAULT_SAMPLING)).toBe(false);
  expect(hasPenalty({ ...DEFAULT_SAMPLING, presencePenalty: -0.5 })).toBe(true);
  expect(hasPenalty({ ...DEFAULT_SAMPLING, frequencyPenalty: 0.1 })).toBe(true);
  expect(hasPenalty({ ...DEFAULT_SAMPLING, repetitionPenalty: 1.1 })).toBe(true);
});

test("toRequest() lists distinct ids with their counts in the output", () => {
  const counts = new TokenCounts([5, 3, 5]);
  for (const tokenId of [3, 8, 8]) counts.add(tokenId);
  const sampling = { ...DEFAULT_SAMPLING, presencePenalty: 0.5, repetitionPenalty: 1.25 };
  expect(counts.toRequest(sampling)).toEqual({
    presence: 0.5,
    frequency: 0,
    repetition: 1.25,
    tokenIds: Uint32Array.of(5, 3, 8),
    outputCounts: Uint32Array.of(0, 1, 2),
  });
});

test("toRequest() is a snapshot that later tokens leave alone", () => {
  const counts = new TokenCounts([1]);
  const before = counts.toRequest(DEFAULT_SAMPLING);
  counts.add(1);
  expect(before.outputCounts).toEqual(Uint32Array.of(0));
});
