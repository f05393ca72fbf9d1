import { describe, expect, test } from "vitest";
import { capacityOf, DEFAULT_CAPACITY } from "../../src/cluster/capacity.ts";
import type { HfConfig } from "../../src/core.ts";
import { llama } from "../../src/models/llama.ts";
import { bufferBytes } from "../../src/stage/buffer_sizes.ts";
import { read } from "../models/configs.ts";

function of(maxPositions: number, options: Partial<typeof DEFAULT_CAPACITY> = {}) {
  const config = read("llama", { max_position_embeddings: maxPositions });
  return capacityOf({ architecture: llama, config }, { ...DEFAULT_CAPACITY, ...options });
}

describe("capacityOf() with a cache of no given size", () => {
  test("wants one longest sequence, takes one of 2,048 tokens, uses one for each that runs", () => {
    const { limits, pool } = of(131_072);
    expect(limits).toMatchObject({ maxModelLength: 16_384, maxSequences: 32, maxSamples: 32 });
    expect(pool).toEqual({
      ...{ leastBlocks: 128, wantedBlocks: 1_024, mostBlocks: 32 * 1_024 },
      ...{ mostSoftwareBlocks: 1_024, advice: null },
    });
  });

  test("a short model needs no more than its own length", () => {
    const { limits, pool } = of(1_000, { maxSequences: 4 });
    expect(limits.maxModelLength).toBe(1_000);
    expect(pool).toMatchObject({
      ...{ leastBlocks: 63, wantedBlocks: 63, mostBlocks: 4 * 63, mostSoftwareBlocks: 4 * 63 },
    });
  });

  test("a length that was chosen is kept or refused, not cut", () => {
    const { limits, pool } = of(131_072, { maxModelLength: 40_000 });
    expect(limits.maxModelLength).toBe(40_000);
    expect(pool).toMatchObject({ leastBlocks: 2_500, wantedBlocks: 2_500, mostBlocks: 80_000 });
    expect(pool.mostSoftwareBlocks).toBe(2_500);
    expect(pool.advice).toBe("use less than 40,000 as the longest sequence (--max-model-length)");
  });
});

describe("capacityOf() with linear attention", () => {
  function savedStates(stateBytes: number, maxSequences = 32): number {
    const layerMemory = () => ({ type: "state", columns: { state: stateBytes / 4 } }) as const;
    const model = { architecture: { ...llama, layerMemory }, config: read("llama") };
    return capacityOf(model, { ...DEFAULT_CAPACITY, maxSequences }).limits.numSavedStates;
  }

  test("saves two states for each sequence, no more than a binding holds, at least one", () => {
    expect(savedStates(1_000)).toBe(64);
    expect(savedStates(2 << 20)).toBe(64 - 32);
    expect(savedStates(64 << 20)).toBe(1);
    expect(savedStates(1_000, 1)).toBe(2);
  });

  test("a model without saves none", () => {
    expect(of(4_096).limits.numSavedStates).toBe(0);
    expect(savedStates(0)).toBe(0);
  });
});

describe("capacityOf() with a cache of a given size", () => {
  test("leaves no choice, and sequences are no longer than it", () => {
    const { limits, pool } = of(131_072, { kvTokens: 100_000 });
    expect(limits.maxModelLength).toBe(100_000);
    expect(pool).toEqual({
      ...{ leastBlocks: 6_250, wantedBlocks: 6_250, mostBlocks: 6_250, mostSoftwareBlocks: 6_250 },
      advice: "use less than 100,000 tokens of KV cache (--kv-tokens)",
    });
    expect(of(2_048, { kvTokens: 100_000 }).limits.maxModelLength).toBe(2_048);
    expect(of(2_048, { kvTokens: 1_000, maxModelLength: 500 }).limits.maxModelLength).toBe(500);
  });
});

describe("capacityOf() with steps of no given size", () => {
  function tokens(hf: HfConfig, options: Partial<typeof DEFAULT_CAPACITY> = {}) {
    const model = { architecture: llama, config: read("llama", hf) };
    const { limits } = capacityOf(model, { ...DEFAULT_CAPACITY, ...options });
    const bytes = (maxBatchTokens: number) =>
      Math.max(
        ...[true, false].map((hasHead) =>
          bufferBytes({ ...model, limits: { ...limits, maxBatchTokens }, hasHead })
        ),
      );
    return { maxBatchTokens: limits.maxBatchTokens, bytes };
  }

  test("takes 512 tokens where the buffers of a stage are small", () => {
    expect(tokens({}).maxBatchTokens).toBe(512);
  });

  test("takes the most, by 16, whose buffers have 64 MiB, with a head or without", () => {
    for (
      const hf of [{ intermediate_size: 30_000 }, {
        vocab_size: 400_000,
        intermediate_size: 12_000,
      }]
    ) {
      const { maxBatchTokens, bytes } = tokens(hf);
      expect(maxBatchTokens).toBeLessThan(512);
      expect(bytes(maxBatchTokens)).toBeLessThanOrEqual(64 << 20);
      expect(bytes(maxBatchTokens + 16)).toBeGreaterThan(64 << 20);
    }
  });

  test("takes one for each running sequence, whatever that needs, and any number that is chosen", () => {
    expect(tokens({ intermediate_size: 300_000 }).maxBatchTokens).toBe(32);
    expect(tokens({}, { maxSequences: 600 }).maxBatchTokens).toBe(600);
    expect(tokens({ intermediate_size: 30_000 }, { maxBatchTokens: 512 }).maxBatchTokens).toBe(512);
  });
});

test("every running sequence has a token of each step", () => {
  expect(of(100, { maxSequences: 50, maxBatchTokens: 20 }).limits)
    .toMatchObject({ maxBatchTokens: 20, maxSequences: 20, maxSamples: 20 });
});
