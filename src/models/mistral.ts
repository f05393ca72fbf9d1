import type { HfConfig, ModelConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { denseLayer, denseLayerTensors, denseScratchColumns } from "./dense.ts";
import { type DenseDefaults, readDenseConfig } from "./dense_config.ts";
import { readSlidingWindows } from "./sliding_windows.ts";

/** Mistral: llama with a sliding window in every layer, unless `sliding_window` is null. */
export const mistral: Architecture = {
  modelType: "mistral",
  readConfig,
  layerTensors: denseLayerTensors,
  scratchColumns: denseScratchColumns,
  decoderLayer: denseLayer,
};

/** transformers' MistralConfig. */
const DEFAULTS: DenseDefaults = {
  modelType: "mistral",
  numKvHeads: 8,
  headDim: null,
  maxPositions: 131072,
  bosTokenId: 1,
  eosTokenIds: [2],
};

function readConfig(hf: HfConfig): ModelConfig {
  const config = new ConfigReader(hf);
  const dense = readDenseConfig(config, DEFAULTS);
  return {
    ...dense,
    hasQkvBias: config.flag("qkv_bias", false),
    hasOutputBias: config.flag("attention_output_bias", false),
    slidingWindows: readSlidingWindows(config, dense.numLayers, () => true),
  };
}
