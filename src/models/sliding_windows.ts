import type { ConfigReader } from "./config_reader.ts";

/**
 * The window of each layer: from `layer_types` where the file has them, else `otherwise(layer)`
 * says which layers slide. Null sees everything.
 */
export function readSlidingWindows(
  config: ConfigReader,
  numLayers: number,
  otherwise: (layer: number) => boolean,
): (number | null)[] {
  if (!config.has("sliding_window")) return new Array<null>(numLayers).fill(null);
  const window = config.size("sliding_window");
  const types = config.words("layer_types");
  if (types !== null && types.length !== numLayers) {
    throw config.fail("layer_types", `a list of ${numLayers} entries`);
  }
  return Array.from({ length: numLayers }, (_, layer) => {
    const slides = types ? types[layer] === "sliding_attention" : otherwise(layer);
    return slides ? window : null;
  });
}

/** Qwen's rule: `use_sliding_window` turns windows on for the layers after the first few. */
export function readQwenWindows(config: ConfigReader, numLayers: number): (number | null)[] {
  if (!config.flag("use_sliding_window", false)) return new Array<null>(numLayers).fill(null);
  const firstSliding = config.size("max_window_layers", 28, 0);
  return readSlidingWindows(config, numLayers, (layer) => layer >= firstSliding);
}
