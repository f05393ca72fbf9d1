import type { HfConfig, ModelConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { denseLayer, denseLayerTensors, denseScratchColumns } from "./dense.ts";
import { type DenseDefaults, readDenseConfig } from "./dense_config.ts";
import { readQwenWindows } from "./sliding_windows.ts";

/** Qwen 2 and 2.5: biases on q, k and v; the layers from `max_window_layers` on may slide. */
export const qwen2: Architecture = {
  modelType: "qwen2",
  readConfig,
  layerTensors: denseLayerTensors,
  scratchColumns: denseScratchColumns,
  decoderLayer: denseLayer,
};

/** transformers' Qwen2Config. */
const DEFAULTS: DenseDefaults = {
  modelType: "qwen2",
  numKvHeads: 32,
  headDim: null,
  maxPositions: 32768,
  bosTokenId: null,
  eosTokenIds: [],
};

function readConfig(hf: HfConfig): ModelConfig {
  const config = new ConfigReader(hf);
  const dense = readDenseConfig(config, DEFAULTS);
  return {
    ...dense,
    hasQkvBias: config.flag("qkv_bias", true),
    hasOutputBias: config.flag("attention_output_bias", false),
    slidingWindows: readQwenWindows(config, dense.numLayers),
  };
}
