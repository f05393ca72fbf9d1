import type { HfConfig, ModelConfig } from "../core.ts";
import type { Architecture, LayerTensors } from "./architecture.ts";
import { attentionBlock, attentionScratch, attentionTensors } from "./attention_block.ts";
import { ConfigReader } from "./config_reader.ts";
import { type DenseDefaults, readAttentionBiases, readDenseConfig } from "./dense_config.ts";
import { moeOf } from "./experts.ts";
import { joinTensors, tensorNames } from "./layer_tensors.ts";
import { moeBlock, moeScratch } from "./moe.ts";
import { readExperts } from "./moe_config.ts";
import { readSlidingWindows } from "./sliding_windows.ts";

/**
 * gpt-oss: every second layer slides, each head has a sink, and experts with biases stand in place
 * of every MLP; theirs are matrices [in, out] of one tensor.
 */
export const gptOss: Architecture = {
  modelType: "gpt_oss",
  readConfig,
  layerTensors,
  scratchColumns: (config) => [attentionScratch(config), moeScratch(config)],
  decoderLayer: (run) => [...attentionBlock(run), ...moeBlock(run)],
};

/** transformers' GptOssConfig. */
const FIELDS: HfConfig = { attention_bias: true, sliding_window: 128 };
const DEFAULTS: DenseDefaults = {
  modelType: "gpt_oss",
  numKvHeads: 8,
  headDim: 64,
  maxPositions: 131_072,
  bosTokenId: null,
  eosTokenIds: [],
  rmsNormEps: 1e-5,
  rope: { theta: 150_000 },
};
const EXPERTS = {
  numExpertsFields: ["num_local_experts", "num_experts"],
  numExperts: 128,
  numExpertsPerToken: 4,
  sizeField: "intermediate_size",
  expertSize: 2880,
};
const ROPE_PARAMETERS = {
  rope_type: "yarn",
  factor: 32,
  beta_fast: 32,
  beta_slow: 1,
  truncate: false,
  original_max_position_embeddings: 4096,
};
/** Constants of the activation, whatever a file says. */
const LIMIT = 7;
const ALPHA = 1.702;

function readConfig(hf: HfConfig): ModelConfig {
  const hasRope = ["rope_scaling", "rope_parameters"].some((name) => (hf[name] ?? null) !== null);
  const rope = hasRope ? {} : { rope_parameters: ROPE_PARAMETERS };
  const config = new ConfigReader({ ...FIELDS, ...hf, ...rope });
  const dense = readDenseConfig(config, DEFAULTS);
  const { numLayers } = dense;
  return {
    ...dense,
    ...readAttentionBiases(config),
    slidingWindows: readSlidingWindows(config, numLayers, (layer) => layer % 2 === 0),
    moe: {
      ...readExperts(config, EXPERTS, new Array<boolean>(numLayers).fill(true)),
      scoring: "softmax-of-chosen",
      hasRouterBias: true,
      hasExpertBias: true,
      activation: { type: "clamped-swiglu", limit: LIMIT, alpha: ALPHA, isInterleaved: true },
    },
  };
}

function layerTensors(config: ModelConfig, layer: number): LayerTensors {
  const { hiddenSize, numHeads } = config;
  const { numExperts, expertSize } = moeOf(config);
  const { matrix, vector } = tensorNames(layer);
  const names = (name: string) => [`model.layers.${layer}.${name}`];
  const experts = (name: string, rows: number, numCols: number) => ({
    names: names(`mlp.experts.${name}`),
    numRows: numExperts * rows,
    numCols,
    groupRows: rows,
    numTransposed: numExperts,
  });
  const biases = (name: string, rows: number) => ({
    names: names(`mlp.experts.${name}_bias`),
    length: numExperts * rows,
    shape: [numExperts, rows],
  });
  return joinTensors(attentionTensors(config, layer), {
    matrices: {
      router: matrix(numExperts, hiddenSize, "mlp.router"),
      expertGateUp: experts("gate_up_proj", 2 * expertSize, hiddenSize),
      expertDown: experts("down_proj", hiddenSize, expertSize),
    },
    vectors: {
      sinks: { names: names("self_attn.sinks"), length: numHeads },
      mlpNorm: vector("weight", hiddenSize, "post_attention_layernorm"),
      routerBias: vector("bias", numExperts, "mlp.router"),
      expertGateUpBias: biases("gate_up_proj", 2 * expertSize),
      expertDownBias: biases("down_proj", hiddenSize),
    },
  });
}
