import type { HfConfig, ModelConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { denseLayer, denseLayerTensors, denseScratchColumns } from "./dense.ts";
import { type DenseDefaults, readAttentionBiases, readDenseConfig } from "./dense_config.ts";
import { readQwenWindows } from "./sliding_windows.ts";

/** Qwen 3: RMS norms over each query and key head; biases only if `attention_bias` says so. */
export const qwen3: Architecture = {
  modelType: "qwen3",
  readConfig,
  layerTensors: denseLayerTensors,
  scratchColumns: denseScratchColumns,
  decoderLayer: denseLayer,
};

/** transformers' Qwen3Config. */
const DEFAULTS: DenseDefaults = {
  modelType: "qwen3",
  numKvHeads: 32,
  headDim: 128,
  maxPositions: 32768,
  bosTokenId: null,
  eosTokenIds: [],
};

function readConfig(hf: HfConfig): ModelConfig {
  const config = new ConfigReader(hf);
  const dense = readDenseConfig(config, DEFAULTS);
  return {
    ...dense,
    hasQkNorm: true,
    ...readAttentionBiases(config),
    slidingWindows: readQwenWindows(config, dense.numLayers),
  };
}
