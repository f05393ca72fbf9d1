/** A shard takes little more than its tensors and its cache: in true sizes, and on a device. */
import { describe, expect, test } from "vitest";
import { capacityOf, DEFAULT_CAPACITY } from "../../src/cluster/capacity.ts";
import { BLOCK_SIZE, DEFAULT_SAMPLING, type Shard, splitLayers } from "../../src/core.ts";
import { openGoldenCase } from "../../src/golden.ts";
import { defaultTuning } from "../../src/kernels/tuning.ts";
import { architectureOf } from "../../src/models/registry.ts";
import { StageCosts } from "../../src/pipeline/stage_costs.ts";
import { FileStore } from "../../src/platform/file_store.ts";
import { LocalStage } from "../../src/stage/local_stage.ts";
import { modelCosts } from "../../src/stage/model_costs.ts";
import { openTestGpu } from "../kernels/gpu.ts";
import { hollowModel, shardOf, storedBytes } from "../models/hollow_model.ts";
import { TRUE_SHAPES } from "../models/true_shapes.ts";
import { watchDevice } from "./watched_device.ts";

const MIB = 1 << 20;
/** What every device binds. */
const LEAST_BINDING_BYTES = 128 * MIB;

type Model = Omit<ReturnType<typeof hollowModel>, "source"> & {
  readonly source: Parameters<typeof modelCosts>[0]["source"];
};

/** Adds up shards of a model, with the limits that `run` chooses. */
function memoryOf(model: Model, numBlocks: number) {
  const { limits } = capacityOf(model, DEFAULT_CAPACITY);
  const costs = modelCosts({ ...model, limits });
  const stage = new StageCosts(costs, { peers: [], numBlocks });
  const keptBytes = ({ startLayer, endLayer }: Shard, usesF16Kv: boolean) =>
    costs.layerMemory.slice(startLayer, endLayer).reduce(
      (total, { blockBytes: { f16, f32 }, stateBytes }) =>
        total + stateBytes + numBlocks * (usesF16Kv ? f16 : f32),
      0,
    );
  return {
    costs,
    limits: { ...limits, numBlocks },
    /** What a shard may take, and what it is said to take. */
    bytes: (shard: Shard, usesF16Kv: boolean) => {
      const stored = storedBytes(model, shard);
      return {
        stored,
        most: 1.02 * stored + keptBytes(shard, usesF16Kv) + 64 * MIB,
        planned: stage.memoryBytes({ ...shard, usesF16Kv }),
      };
    },
  };
}

describe.each(Object.entries(TRUE_SHAPES))("a shard of %s", (_, hfConfig) => {
  test.each(["bf16", "q4_0"] as const)(
    "takes its tensors in %s, its cache, 2 % and 64 MiB at most, in buffers that any device binds",
    (format) => {
      const model = hollowModel(hfConfig, format);
      const { numLayers } = model.config;
      const { bytes, costs, limits } = memoryOf(model, 1_024);
      const spans = Array.from({ length: numLayers }, (_, layer) => [layer, layer + 1] as const);
      for (const span of [...spans, [0, 3], [numLayers - 3, numLayers], [0, numLayers]] as const) {
        const shard = shardOf(model.config, span[0], span[1]);
        for (const usesF16Kv of [true, false]) {
          const { stored, most, planned } = bytes(shard, usesF16Kv);
          expect(planned, JSON.stringify(shard)).toBeLessThanOrEqual(most);
          expect(planned).toBeGreaterThan(stored);
        }
      }
      expect(costs.largestBuffer.sizeBytes).toBeLessThanOrEqual(LEAST_BINDING_BYTES);
      expect(limits.maxBatchTokens).toBeGreaterThanOrEqual(96);
    },
  );
});

test("states of 32 sequences fill the least binding there is, those of more need another", () => {
  const model = hollowModel(TRUE_SHAPES["Qwen3-Next 80B A3B"]!, "bf16");
  const largestOf = (maxSequences: number) => {
    const { limits } = capacityOf(model, { ...DEFAULT_CAPACITY, maxSequences });
    return modelCosts({ ...model, limits }).largestBuffer;
  };
  expect(largestOf(32)).toEqual({
    what: "states of a layer",
    sizeBytes: LEAST_BINDING_BYTES,
    advice: "use fewer sequences (--max-sequences)",
  });
  expect(largestOf(64).sizeBytes).toBe(65 * 2 * MIB);
});

const GOLDEN = [
  "llama-rope3-tied",
  "qwen3-moe",
  "qwen3-next",
  "deepseek-v2",
  "deepseek-v3",
  "glm4-moe",
  "minimax-m2",
  "gpt-oss",
  "mixtral",
  "gemma3",
];

const { context } = await openTestGpu();

/** Loads a shard, runs `use` on it, and compares what the device has with what was planned. */
async function expectPlanned(
  model: Model & { readonly source: ReturnType<typeof hollowModel>["source"] },
  shard: Shard,
  use: (stage: LocalStage) => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  const tuning = defaultTuning(context.capabilities, { isDeterministic: true });
  const { useF16Kv: usesF16Kv } = tuning;
  const { limits, bytes } = memoryOf(model, 24);
  const { most, planned } = bytes(shard, usesF16Kv);
  const watched = watchDevice(context);
  const stage = await LocalStage.load({
    ...{ context: watched.context, tuning, ...model, shard, limits },
  });
  await use(stage);
  const liveBytes = watched.liveBytes();
  const { weightBytes, bufferBytes } = stage.memory;
  stage.close();
  expect(liveBytes, JSON.stringify(shard)).toBe(weightBytes + bufferBytes);
  // Blocks of small layers are rounded up to 16 bytes by the buffer, not by the block.
  expect(planned - liveBytes).toBeGreaterThanOrEqual(0);
  expect(planned - liveBytes).toBeLessThan(1_024);
  expect(liveBytes).toBeLessThanOrEqual(most);
  expect(watched.liveBytes()).toBe(0);
  expect(watched.live.size).toBe(0);
}

describe("on a device", () => {
  test.each(GOLDEN)(
    "shards of %s have the buffers that were planned, and free them",
    async (name) => {
      const { source } = await openGoldenCase(new FileStore(`tests/golden/${name}`), name);
      const architecture = architectureOf(source.hfConfig);
      const config = architecture.readConfig(source.hfConfig);
      for (const numStages of [1, 2]) {
        for (const shard of splitLayers(config.numLayers, numStages)) {
          await expectPlanned({ source, architecture, config }, shard);
        }
      }
    },
  );

  test("nothing more is there after steps of a model of 60 MB", async () => {
    const model = hollowModel({
      ...{ model_type: "qwen3_moe", vocab_size: 4_096, hidden_size: 512, intermediate_size: 1_024 },
      ...{ num_hidden_layers: 2, num_attention_heads: 8, num_key_value_heads: 2, head_dim: 64 },
      ...{ num_experts: 16, num_experts_per_tok: 2, moe_intermediate_size: 512 },
      max_position_embeddings: 512,
    }, "bf16");
    const shard = shardOf(model.config, 0, 2);
    expect(storedBytes(model, shard) / 1e6).toBeCloseTo(60, -1);
    await expectPlanned(model, shard, async (stage) => {
      for (let stepId = 0; stepId < 2; stepId++) {
        const output = await stage.forward({
          stepId,
          slices: Array.from({ length: 4 }, (_, slot) => ({
            ...{ sequenceId: slot, slot, startPosition: stepId },
            tokenIds: Uint32Array.of(7 * slot + stepId),
            blockTable: Uint32Array.from(
              { length: Math.ceil((stepId + 1) / BLOCK_SIZE) },
              () => slot,
            ),
            sample: { ...DEFAULT_SAMPLING, tokenIndex: stepId },
          })),
        }, null);
        expect(output).toMatchObject({ type: "tokens", tokens: { length: 4 } });
      }
    });
  });

  test("limits that make a buffer too large to bind are refused by name, before a step", async () => {
    const { source } = await openGoldenCase(new FileStore("tests/golden/llama"), "llama");
    const architecture = architectureOf(source.hfConfig);
    const config = architecture.readConfig(source.hfConfig);
    const shard = shardOf(config, 0, config.numLayers);
    const tuning = defaultTuning(context.capabilities, { isDeterministic: true });
    const { limits } = capacityOf({ architecture, config }, DEFAULT_CAPACITY);
    const watched = watchDevice(context);
    const load = (change: Partial<typeof limits & { numBlocks: number }>) =>
      LocalStage.load({
        ...{ context: watched.context, tuning, architecture, config, source, shard },
        limits: { ...limits, numBlocks: 24, ...change },
      });
    await expect(load({ maxBatchTokens: 1 << 22 })).rejects.toThrow(
      /binds .* at most, and results between kernels take .* \(--max-batch-tokens\)/,
    );
    await expect(load({ maxSamples: 1 << 22 })).rejects.toThrow(
      /binds .* at most, and logits take .* \(--max-sequences\)/,
    );
    await expect(load({ numBlocks: 1 << 22 })).rejects.toThrow(
      /keys of a layer take .* \(--kv-tokens\)/,
    );
    expect(watched.live.size).toBe(0);
  });
});
