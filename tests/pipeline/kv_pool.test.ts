import { describe, expect, test } from "vitest";
import { kvBytes } from "../../src/kernels/kv_cache.ts";
import {
  blocksInBinding,
  fixedPool,
  largestPool,
  type PoolBounds,
  type PoolStage,
} from "../../src/pipeline/kv_pool.ts";
import type { ModelCosts } from "../../src/stage/model_costs.ts";

const MB = 1e6;
const MIB = 2 ** 20;

/** Ten layers of 100 MB, and a pool of 1 MB for each block and layer, as f32. */
const MODEL: ModelCosts = {
  numLayers: 10,
  layerBytes: Array(10).fill(100 * MB),
  kvBlockBytes: { f32: MB, f16: MB / 2 },
  ...{ scratchBytes: 50 * MB, embeddingBytes: 30 * MB, headBytes: 40 * MB, isTied: false },
};

const BOUNDS: PoolBounds = {
  ...{ leastBlocks: 1, wantedBlocks: 10, mostBlocks: 1_000, mostSoftwareBlocks: 40 },
  advice: null,
};

function stage(
  [startLayer, endLayer]: readonly [number, number],
  rest: Partial<PoolStage> = {},
): PoolStage {
  return {
    shard: {
      ...{ startLayer, endLayer },
      hasEmbedding: startLayer === 0,
      hasHead: endLayer === MODEL.numLayers,
    },
    memoryBytes: 1e12,
    ...{ usesF16Kv: false, isSoftware: false, maxBindingBytes: 1e12 },
    ...rest,
  };
}

describe("largestPool()", () => {
  test("fills what weights and buffers leave on the stage with the least room", () => {
    const roomy = stage([0, 4], { memoryBytes: 1_000 * MB });
    // 600 MB of layers, 50 MB of buffers, 40 MB of head: 6 MB a block.
    const tight = stage([4, 10], { memoryBytes: 690 * MB + 6 * 7 * MB });
    expect(largestPool(MODEL, [roomy, tight], BOUNDS)).toBe(7);
    const tighter = { ...tight, memoryBytes: tight.memoryBytes - 1 };
    expect(largestPool(MODEL, [roomy, tighter], BOUNDS)).toBe(6);
    expect(largestPool(MODEL, [roomy, { ...tight, usesF16Kv: true }], BOUNDS)).toBe(14);
  });

  test("is never more than is of use, nor less than nothing", () => {
    expect(largestPool(MODEL, [stage([0, 10])], BOUNDS)).toBe(1_000);
    expect(largestPool(MODEL, [stage([0, 10], { memoryBytes: 5 })], BOUNDS)).toBe(0);
  });

  test("stays modest in the memory of a CPU, for all stages", () => {
    const stages = [stage([0, 5]), stage([5, 10], { isSoftware: true })];
    expect(largestPool(MODEL, stages, BOUNDS)).toBe(40);
    expect(largestPool(MODEL, stages, fixedPool(70))).toBe(70);
  });

  test("ends where a binding does: K or V of one layer, half of its block", () => {
    const stages = [stage([0, 5]), stage([5, 10], { maxBindingBytes: 25 * MB })];
    expect(largestPool(MODEL, stages, BOUNDS)).toBe(50);
    const f16 = stages.map((one) => ({ ...one, usesF16Kv: true }));
    expect(largestPool(MODEL, f16, BOUNDS)).toBe(100);
  });
});

test.each([
  ["SmolLM2-135M", { numKvHeads: 3, headDim: 64 }, { f16: 349_525, f32: 174_762 }],
  ["a 1B model", { numKvHeads: 8, headDim: 64 }, { f16: 131_072, f32: 65_536 }],
  ["an 8B model", { numKvHeads: 8, headDim: 128 }, { f16: 65_536, f32: 32_768 }],
  ["a 7B model without grouped heads", { numKvHeads: 32, headDim: 128 }, {
    f16: 16_384,
    f32: 8_192,
  }],
])("what a binding of 128 MiB holds of %s", (_, shape, tokens) => {
  const kvBlockBytes = {
    f16: 2 * kvBytes({ ...shape, isF16: true }, 1),
    f32: 2 * kvBytes({ ...shape, isF16: false }, 1),
  };
  for (const type of ["f16", "f32"] as const) {
    const device = { usesF16Kv: type === "f16", maxBindingBytes: 128 * MIB };
    const numBlocks = blocksInBinding({ kvBlockBytes }, device);
    expect(numBlocks).toBe(Math.floor(tokens[type] / 16));
    expect(kvBytes({ ...shape, isF16: type === "f16" }, numBlocks)).toBeLessThanOrEqual(128 * MIB);
  }
});
