import type { HfConfig, ModelConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { denseLayer, denseLayerTensors, denseScratchColumns, readDenseConfig } from "./dense.ts";
import { readQwenWindows } from "./sliding_windows.ts";

/** Qwen 3: RMS norms over each query and key head; biases only if `attention_bias` says so. */
export const qwen3: Architecture = {
  modelType: "qwen3",
  readConfig,
  layerTensors: denseLayerTensors,
  scratchColumns: denseScratchColumns,
  decoderLayer: denseLayer,
};

function readConfig(hf: HfConfig): ModelConfig {
  const config = new ConfigReader(hf);
  const dense = readDenseConfig(config, "qwen3");
  const hasAttentionBias = config.flag("attention_bias", false);
  return {
    ...dense,
    hasQkNorm: true,
    hasQkvBias: hasAttentionBias,
    hasOutputBias: hasAttentionBias,
    slidingWindows: readQwenWindows(config, dense.numLayers),
  };
}
