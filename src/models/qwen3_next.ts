import type { HfConfig, LinearConfig, ModelConfig } from "../core.ts";
import { projectedColumns } from "../kernels/linear_shape.ts";
import type { Architecture } from "./architecture.ts";
import { attentionBlock, attentionScratch, attentionTensors } from "./attention_block.ts";
import { ConfigReader } from "./config_reader.ts";
import {
  type DenseDefaults,
  MAX_COLUMNS,
  readAttentionBiases,
  readDenseConfig,
} from "./dense_config.ts";
import { kvMemory } from "./layer_memory.ts";
import { joinTensors } from "./layer_tensors.ts";
import { isLinear, linearBlock, linearMemory, linearScratch, linearTensors } from "./linear.ts";
import { mlpBlock, mlpTensors } from "./mlp_block.ts";
import { MLP_EXPERTS, moeBlock, moeTensors } from "./moe.ts";
import { readExperts } from "./moe_config.ts";
import { readSparseLayers } from "./qwen3_moe.ts";
import { isSparse, sparseScratch } from "./sparse.ts";

const EXPERT_NAMES = { ...MLP_EXPERTS, shared: "shared_expert" };

/**
 * Qwen3-Next: linear attention in most layers, gated attention in the others, experts beside a
 * gated shared one, norms of 1 + weight.
 */
export const qwen3Next: Architecture = {
  modelType: "qwen3_next",
  readConfig,
  layerTensors: (config, layer) =>
    joinTensors(
      isLinear(config, layer) ? linearTensors(config, layer) : attentionTensors(config, layer),
      isSparse(config, layer) ? moeTensors(config, layer, EXPERT_NAMES) : mlpTensors(config, layer),
    ),
  layerMemory: (config, layer) => isLinear(config, layer) ? linearMemory(config) : kvMemory(config),
  scratchColumns: (config) => [
    // The first block of a layer is either of the two.
    widest(attentionScratch(config), config.linear ? linearScratch(config) : {}),
    ...sparseScratch(config),
  ],
  decoderLayer: (run) => [
    ...(isLinear(run.config, run.layer) ? linearBlock(run) : attentionBlock(run)),
    ...(isSparse(run.config, run.layer) ? moeBlock(run) : mlpBlock(run)),
  ],
};

/** The buffers of both, each as wide as either wants it. */
function widest(
  some: Readonly<Record<string, number>>,
  others: Readonly<Record<string, number>>,
): Record<string, number> {
  const shared = Object.entries(some).map(([name, columns]) =>
    [name, Math.max(columns, others[name] ?? 0)] as const
  );
  return { ...others, ...Object.fromEntries(shared) };
}

/** transformers' Qwen3NextConfig. */
const DEFAULTS: DenseDefaults = {
  modelType: "qwen3_next",
  numKvHeads: 2,
  headDim: 256,
  maxPositions: 32768,
  bosTokenId: null,
  eosTokenIds: [],
  rope: { rotaryShare: 0.25 },
};
const EXPERTS = {
  numExpertsFields: ["num_experts", "num_local_experts"],
  numExperts: 512,
  numExpertsPerToken: 10,
  sizeField: "moe_intermediate_size",
  expertSize: 512,
};
const DEFAULT_SHARED_SIZE = 512;
const DEFAULT_FULL_INTERVAL = 4;

/** What the kernels of linear attention were made for, with room above any model. */
const MAX_LINEAR_HEADS = 512;
const MAX_LINEAR_DIM = 512;
const MAX_KERNEL = 32;

function readConfig(hf: HfConfig): ModelConfig {
  const config = new ConfigReader(hf);
  const dense = readDenseConfig(config, DEFAULTS);
  const sparse = readSparseLayers(config, dense.numLayers);
  return {
    ...dense,
    ...readAttentionBiases(config),
    hasQkNorm: true,
    hasUnitOffsetNorms: true,
    hasOutputGate: true,
    linear: readLinear(config, dense.numLayers),
    moe: sparse.includes(true)
      ? {
        ...readExperts(config, EXPERTS, sparse),
        isNormalised: config.flag("norm_topk_prob", true),
        shared: {
          size: config.size("shared_expert_intermediate_size", {
            maximum: MAX_COLUMNS,
            fallback: DEFAULT_SHARED_SIZE,
          }),
          isGated: true,
        },
      }
      : null,
  };
}

/** Null where every layer has full attention. */
function readLinear(config: ConfigReader, numLayers: number): LinearConfig | null {
  const isLinear = readLinearLayers(config, numLayers);
  if (!isLinear.includes(true)) return null;
  const numKeyHeads = config.size("linear_num_key_heads", {
    maximum: MAX_LINEAR_HEADS,
    fallback: 16,
  });
  const numValueHeads = config.size("linear_num_value_heads", {
    maximum: MAX_LINEAR_HEADS,
    fallback: 32,
  });
  if (numValueHeads % numKeyHeads !== 0) {
    throw config.fail("linear_num_value_heads", `a multiple of ${numKeyHeads} key heads`);
  }
  const dim = { maximum: MAX_LINEAR_DIM, fallback: 128 };
  const linear = {
    isLinear,
    numKeyHeads,
    numValueHeads,
    keyDim: config.size("linear_key_head_dim", dim),
    valueDim: config.size("linear_value_head_dim", dim),
    convKernel: config.size("linear_conv_kernel_dim", {
      minimum: 2,
      maximum: MAX_KERNEL,
      fallback: 4,
    }),
  };
  if (projectedColumns(linear) > MAX_COLUMNS) {
    throw config.fail("linear_num_value_heads", `few enough for ${MAX_COLUMNS} columns`);
  }
  return linear;
}

/** `layer_types`, or all but every `full_attention_interval`-th layer. */
function readLinearLayers(config: ConfigReader, numLayers: number): boolean[] {
  const types = config.words("layer_types");
  if (types === null) {
    const interval = config.size("full_attention_interval", {
      maximum: 2 ** 31,
      fallback: DEFAULT_FULL_INTERVAL,
    });
    return Array.from({ length: numLayers }, (_, layer) => (layer + 1) % interval !== 0);
  }
  const isKnown = types.every((type) => type === "linear_attention" || type === "full_attention");
  if (!isKnown || types.length !== numLayers) {
    throw config.fail(
      "layer_types",
      `a list of ${numLayers} entries, each "linear_attention" or "full_attention"`,
    );
  }
  return types.map((type) => type === "linear_attention");
}
