import type { ConfigReader } from "./config_reader.ts";

/** Most positions a window may span, and the window of a file that does not name one. */
const MAX_WINDOW = 2 ** 31;
const DEFAULT_WINDOW = 4096;

/**
 * The window of each layer: from `layer_types` where the file has them, else `otherwise(layer)`
 * says which layers slide. Null sees everything. `sliding_window: null` turns windows off.
 */
export function readSlidingWindows(
  config: ConfigReader,
  numLayers: number,
  otherwise: (layer: number) => boolean,
): (number | null)[] {
  const isOff = !config.isAbsent("sliding_window") && !config.has("sliding_window");
  if (isOff) return new Array<null>(numLayers).fill(null);
  const window = config.size("sliding_window", { maximum: MAX_WINDOW, fallback: DEFAULT_WINDOW });
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
  const firstSliding = config.size("max_window_layers", {
    minimum: 0,
    maximum: 2 ** 31,
    fallback: 28,
  });
  return readSlidingWindows(config, numLayers, (layer) => layer >= firstSliding);
}

/** One window for all layers, whatever `layer_types` says; `fallback` where the file has none. */
export function readOneWindow(
  config: ConfigReader,
  numLayers: number,
  fallback: number | null,
): (number | null)[] {
  const isOn = config.has("sliding_window") ||
    (config.isAbsent("sliding_window") && fallback !== null);
  const window = isOn
    ? config.size("sliding_window", { maximum: MAX_WINDOW, fallback: fallback ?? DEFAULT_WINDOW })
    : null;
  return new Array<number | null>(numLayers).fill(window);
}
