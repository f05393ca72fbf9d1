import type { HfConfig, ModelConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { denseLayer, denseLayerTensors, denseScratchColumns, readDenseConfig } from "./dense.ts";
import { readSlidingWindows } from "./sliding_windows.ts";

/** Mistral: llama with a sliding window in every layer, unless `sliding_window` is null. */
export const mistral: Architecture = {
  modelType: "mistral",
  readConfig,
  layerTensors: denseLayerTensors,
  scratchColumns: denseScratchColumns,
  decoderLayer: denseLayer,
};

function readConfig(hf: HfConfig): ModelConfig {
  const config = new ConfigReader(hf);
  const dense = readDenseConfig(config, "mistral");
  return {
    ...dense,
    slidingWindows: readSlidingWindows(config, dense.numLayers, () => true),
  };
}
