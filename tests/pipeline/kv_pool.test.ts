import { describe, expect, test } from "vitest";
import { kvBytes } from "../../src/kernels/kv_cache.ts";
import {
  blocksInBinding,
  fixedPool,
  largestPool,
  type PoolBounds,
  type PoolStage,
} from "../../src/pipeline/kv_pool.ts";
import { StageCosts } from "../../src/pipeline/stage_costs.ts";
import { layerMemoryCosts, type ModelCosts } from "../../src/stage/model_costs.ts";
import { kvLayers } from "./layer_memory.ts";

const MB = 1e6;
const MIB = 2 ** 20;

/** Ten layers of 100 MB, and a pool of 1 MB for each block and layer, as f32. */
const MODEL: ModelCosts = {
  numLayers: 10,
  layerBytes: Array(10).fill(100 * MB),
  layerMemory: kvLayers(10, { f32: MB, f16: MB / 2 }),
  layerReadBytes: Array(10).fill(100 * MB),
  ...{ scratchBytes: 50 * MB, lastScratchBytes: 50 * MB, isTied: false },
  ...{ embeddingBytes: 30 * MB, headBytes: 40 * MB },
  largestBuffer: { what: "logits", sizeBytes: MB, advice: "use fewer sequences" },
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

describe("layers that keep different things", () => {
  const nothing = { f32: 0, f16: 0 };
  /** Four of states, then one of K and V, and so on: as hybrids have them. */
  const mixed: ModelCosts = {
    ...MODEL,
    layerMemory: MODEL.layerBytes.map((_, layer) =>
      layer % 5 < 4
        ? { blockBytes: nothing, largestBlockBytes: nothing, stateBytes: 10 * MB }
        : kvLayers(1, { f32: MB, f16: MB / 2 })[0]!
    ),
  };

  test("blocks count where they are kept, states once", () => {
    const costs = new StageCosts(mixed, { peers: [], numBlocks: 7 });
    const f32 = { usesF16Kv: false };
    expect(costs.blockBytes({ startLayer: 0, endLayer: 10, ...f32 })).toBe(2 * MB);
    expect(costs.blockBytes({ startLayer: 0, endLayer: 10, usesF16Kv: true })).toBe(MB);
    expect(costs.blockBytes({ startLayer: 5, endLayer: 9, ...f32 })).toBe(0);
    const last = { startLayer: 3, endLayer: 10 };
    expect(costs.fixedBytes(last)).toBe((700 + 50 + 50 + 40) * MB);
    expect(costs.memoryBytes({ ...last, ...f32 })).toBe((840 + 2 * 7) * MB);
  });

  test("a stage without blocks limits the pool only where it has no room for itself", () => {
    const first = stage([0, 4], { memoryBytes: (400 + 40 + 50 + 30) * MB });
    const rest = stage([4, 10], { memoryBytes: (600 + 40 + 50 + 40 + 2 * 9) * MB });
    expect(largestPool(mixed, [first, rest], BOUNDS)).toBe(9);
    const less = { ...first, memoryBytes: first.memoryBytes - 1 };
    expect(largestPool(mixed, [less, rest], BOUNDS)).toBe(0);
  });

  test("the largest buffer of any layer has to fit one binding", () => {
    const layerMemory = [
      layerMemoryCosts({ type: "state", columns: { state: 1 << 20, window: 12 } }, 5),
      layerMemoryCosts({ type: "kv", numKvHeads: 2, headDim: 64 }, 5),
      layerMemoryCosts({ type: "latent", latentDim: 512, ropeDim: 64 }, 5),
    ];
    expect(layerMemory.map(({ stateBytes }) => stateBytes)).toEqual([5 * (4 << 20) + 240, 0, 0]);
    expect(layerMemory.map(({ blockBytes }) => blockBytes.f16)).toEqual([
      ...[0, 2 * 16 * 2 * 64 * 2, 16 * 576 * 2],
    ]);
    const device = { usesF16Kv: true, maxBindingBytes: 16 * 576 * 2 * 30 + 1 };
    expect(blocksInBinding({ layerMemory }, device)).toBe(30);
    expect(blocksInBinding({ layerMemory }, { ...device, usesF16Kv: false })).toBe(15);
    expect(blocksInBinding({ layerMemory: layerMemory.slice(0, 1) }, device)).toBe(Infinity);
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
  const layerMemory = [layerMemoryCosts({ type: "kv", ...shape }, 0)];
  for (const type of ["f16", "f32"] as const) {
    const device = { usesF16Kv: type === "f16", maxBindingBytes: 128 * MIB };
    const numBlocks = blocksInBinding({ layerMemory }, device);
    expect(numBlocks).toBe(Math.floor(tokens[type] / 16));
    expect(kvBytes({ ...shape, isF16: type === "f16" }, numBlocks)).toBeLessThanOrEqual(128 * MIB);
  }
});
