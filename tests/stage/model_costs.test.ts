import { describe, expect, test } from "vitest";
import { splitLayers } from "../../src/core.ts";
import { openGoldenCase } from "../../src/golden.ts";
import { defaultTuning } from "../../src/kernels/tuning.ts";
import type { Architecture } from "../../src/models/architecture.ts";
import type { LayerMemory } from "../../src/models/layer_memory.ts";
import { architectureOf } from "../../src/models/registry.ts";
import { StageCosts } from "../../src/pipeline/stage_costs.ts";
import { FileStore } from "../../src/platform/file_store.ts";
import { LocalStage } from "../../src/stage/local_stage.ts";
import { modelCosts } from "../../src/stage/model_costs.ts";
import { shardMemoryBytes } from "../../src/stage/shard_memory.ts";
import { openTestGpu } from "../kernels/gpu.ts";

const { context } = await openTestGpu();

const LIMITS = [
  { numBlocks: 40, maxModelLength: 600, maxBatchTokens: 70, maxSequences: 5, maxSamples: 9 },
  { numBlocks: 3, maxModelLength: 33, maxBatchTokens: 3, maxSequences: 3, maxSamples: 3 },
].map((limits, i) => ({ ...limits, numSavedStates: i + 1 }));

interface CostsCase {
  readonly name: string;
  readonly layerMemory?: Architecture["layerMemory"];
}

const MEMORIES: readonly LayerMemory[] = [
  { type: "latent", latentDim: 36, ropeDim: 8 },
  { type: "state", columns: { state: 100, window: 3 } },
  { type: "kv", numKvHeads: 3, headDim: 20 },
];

const CASES: readonly CostsCase[] = [
  ...[
    "llama",
    "llama-rope3-tied",
    "qwen2",
    "qwen3",
    "glm4-moe",
    "deepseek-v3",
    "gemma3",
    "gpt-oss",
    "qwen3-next",
  ]
    .map((name) => ({ name })),
  { name: "llama", layerMemory: (_, layer) => MEMORIES[layer]! },
];

describe.each(CASES)("costs of $name", ({ name, layerMemory }) => {
  test("are what its shards take on a device, and never less", async () => {
    const { source } = await openGoldenCase(new FileStore(`tests/golden/${name}`), name);
    const known = architectureOf(source.hfConfig);
    const architecture = { ...known, ...(layerMemory && { layerMemory }) };
    const config = architecture.readConfig(source.hfConfig);
    for (const [i, limits] of LIMITS.entries()) {
      const isF16Kv = i === 1;
      const costs = new StageCosts(modelCosts({ source, architecture, config, limits }), {
        peers: [],
        numBlocks: limits.numBlocks,
      });
      const tuning = {
        ...defaultTuning(context.capabilities, { isDeterministic: true }),
        useF16Kv: isF16Kv,
      };
      const shards = [1, 2, config.numLayers].flatMap((n) => splitLayers(config.numLayers, n));
      for (const shard of shards) {
        const stage = await LocalStage.load({
          ...{ context, tuning, architecture, config, source, shard, limits },
        });
        const { weightBytes, bufferBytes } = stage.memory;
        stage.close();
        const memoryBytes = costs.memoryBytes({ ...shard, usesF16Kv: isF16Kv });
        expect(memoryBytes / (weightBytes + bufferBytes), JSON.stringify(shard)).toBeCloseTo(1, 5);
        expect(memoryBytes).toBeGreaterThanOrEqual(weightBytes + bufferBytes);
        const leastBytes = shardMemoryBytes({
          ...{ tensors: [], architecture, config, shard, limits, isF16Kv },
        });
        // But for what allocations round up.
        expect(leastBytes).toBeLessThanOrEqual(bufferBytes);
        expect(leastBytes).toBeGreaterThan(bufferBytes - 1_000);
      }
    }
  });
});
