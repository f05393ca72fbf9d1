import type { HfConfig, ModelConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { denseLayer, denseLayerTensors, denseScratchColumns, readDenseConfig } from "./dense.ts";

/** Llama 1 to 3.x and its many relatives (SmolLM2, TinyLlama, Yi). */
export const llama: Architecture = {
  modelType: "llama",
  readConfig,
  layerTensors: denseLayerTensors,
  scratchColumns: denseScratchColumns,
  decoderLayer: denseLayer,
};

function readConfig(hf: HfConfig): ModelConfig {
  const config = new ConfigReader(hf);
  const hasAttentionBias = config.flag("attention_bias", false);
  return {
    ...readDenseConfig(config, "llama"),
    hasQkvBias: hasAttentionBias,
    hasOutputBias: hasAttentionBias,
    hasMlpBias: config.flag("mlp_bias", false),
  };
}
