import type { HfConfig, ModelConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { denseLayer, denseLayerTensors, denseScratchColumns } from "./dense.ts";
import { type DenseDefaults, readAttentionBiases, readDenseConfig } from "./dense_config.ts";

/** Llama 1 to 3.x and its many relatives (SmolLM2, TinyLlama, Yi). */
export const llama: Architecture = {
  modelType: "llama",
  readConfig,
  layerTensors: denseLayerTensors,
  scratchColumns: denseScratchColumns,
  decoderLayer: denseLayer,
};

/** transformers' LlamaConfig. */
const DEFAULTS: DenseDefaults = {
  modelType: "llama",
  numKvHeads: null,
  headDim: null,
  maxPositions: 2048,
  bosTokenId: 1,
  eosTokenIds: [2],
};

function readConfig(hf: HfConfig): ModelConfig {
  const config = new ConfigReader(hf);
  return {
    ...readDenseConfig(config, DEFAULTS),
    ...readAttentionBiases(config),
    hasMlpBias: config.flag("mlp_bias", false),
  };
}
