import type { HfConfig, ModelConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { denseLayer, denseLayerTensors, denseScratchColumns, readDenseConfig } from "./dense.ts";
import { readQwenWindows } from "./sliding_windows.ts";

/** Qwen 2 and 2.5: biases on q, k and v; the layers from `max_window_layers` on may slide. */
export const qwen2: Architecture = {
  modelType: "qwen2",
  readConfig,
  layerTensors: denseLayerTensors,
  scratchColumns: denseScratchColumns,
  decoderLayer: denseLayer,
};

function readConfig(hf: HfConfig): ModelConfig {
  const config = new ConfigReader(hf);
  const dense = readDenseConfig(config, "qwen2");
  return { ...dense, hasQkvBias: true, slidingWindows: readQwenWindows(config, dense.numLayers) };
}
