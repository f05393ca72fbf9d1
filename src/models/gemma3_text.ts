import type { HfConfig, ModelConfig } from "../core.ts";
import type { Architecture, LayerTensors } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { denseLayer, denseLayerTensors, denseScratchColumns } from "./dense.ts";
import { type DenseDefaults, readAttentionBiases, readDenseConfig } from "./dense_config.ts";
import { tensorNames } from "./layer_tensors.ts";
import { readRope } from "./rope_config.ts";
import { readSlidingWindows } from "./sliding_windows.ts";

/**
 * Gemma 3: norms before and after each block, all with 1 + weight; every sixth layer sees
 * everything and turns by another rope than the sliding ones.
 */
export const gemma3Text: Architecture = {
  modelType: "gemma3_text",
  readConfig: readGemma3Config,
  layerTensors,
  scratchColumns: denseScratchColumns,
  decoderLayer: denseLayer,
};

/** transformers' Gemma3TextConfig, whose defaults real files leave out. */
const FIELDS: HfConfig = {
  vocab_size: 262_208,
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 256,
  tie_word_embeddings: true,
};
const DEFAULTS: DenseDefaults = {
  modelType: "gemma3_text",
  numKvHeads: 4,
  headDim: 256,
  maxPositions: 131_072,
  bosTokenId: 2,
  eosTokenIds: [1],
  rope: { theta: 1e6 },
  activation: { field: "hidden_activation", value: "gelu_pytorch_tanh" },
};
const LOCAL_THETA = 10_000;
const SLIDING_PATTERN = 6;

/** Reads the fields of a text model. transformers caps no scores, whatever `attn_logit_softcapping` says. */
export function readGemma3Config(hf: HfConfig): ModelConfig {
  const config = new ConfigReader({ ...FIELDS, ...hf });
  const dense = readDenseConfig(config, DEFAULTS);
  if (config.flag("use_bidirectional_attention", false)) {
    throw config.fail("use_bidirectional_attention", "false");
  }
  if (!config.isAbsent("sliding_window") && !config.has("sliding_window")) {
    throw config.fail("sliding_window", "an integer");
  }
  return {
    ...dense,
    ...readAttentionBiases(config),
    hasQkNorm: true,
    // What GGUF amounts to has the 1 in its weights.
    hasUnitOffsetNorms: config.flag("unit_offset_norms", true),
    embeddingScale: Math.sqrt(dense.hiddenSize),
    attentionScale: 1 / Math.sqrt(config.positive("query_pre_attn_scalar", 256)),
    logitCap: config.has("final_logit_softcapping")
      ? config.positive("final_logit_softcapping")
      : null,
    slidingRope: readRope(config, dense.headDim, {
      layerType: "sliding_attention",
      theta: LOCAL_THETA,
      maxPositions: DEFAULTS.maxPositions,
    }),
    slidingWindows: readSlidingWindows(config, dense.numLayers, slidesByPattern(config)),
  };
}

/** Every so many layers one sees everything; newer files hide the number. */
function slidesByPattern(config: ConfigReader): (layer: number) => boolean {
  const fields = ["sliding_window_pattern", "_sliding_window_pattern"];
  const field = fields.find((name) => config.has(name)) ?? "sliding_window_pattern";
  const pattern = config.size(field, { maximum: 2 ** 31, fallback: SLIDING_PATTERN });
  return (layer) => (layer + 1) % pattern !== 0;
}

function layerTensors(config: ModelConfig, layer: number): LayerTensors {
  const { matrices, vectors } = denseLayerTensors(config, layer);
  const norm = (name: string) => tensorNames(layer).vector("weight", config.hiddenSize, name);
  return {
    matrices,
    vectors: {
      ...vectors,
      postAttentionNorm: norm("post_attention_layernorm"),
      mlpNorm: norm("pre_feedforward_layernorm"),
      postMlpNorm: norm("post_feedforward_layernorm"),
    },
  };
}
