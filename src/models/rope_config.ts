import type { RopeConfig } from "../core.ts";
import { type ConfigReader, ModelConfigError } from "./config_reader.ts";

/**
 * Reads `rope_theta` with `rope_scaling`, or the newer `rope_parameters` that holds both.
 * Throws a ModelConfigError for a kind of scaling that no kernel knows.
 */
export function readRope(config: ConfigReader, headDim: number): RopeConfig {
  const parameters = config.object("rope_parameters");
  const scaling = parameters ?? config.object("rope_scaling");
  const theta = parameters?.has("rope_theta")
    ? parameters.positive("rope_theta")
    : config.positive("rope_theta", 10_000);
  const share = (parameters?.has("partial_rotary_factor") ? parameters : config)
    .positive("partial_rotary_factor", 1);
  return {
    theta,
    rotaryDim: 2 * Math.floor(headDim * share / 2),
    isInterleaved: config.flag("rope_interleaved", false),
    scaling: readScaling(scaling),
  };
}

function readScaling(scaling: ConfigReader | null): RopeConfig["scaling"] {
  const type = scaling?.text("rope_type", scaling.text("type", "default")) ?? "default";
  if (scaling === null || type === "default") return { type: "none" };
  if (type === "linear") return { type, factor: scaling.positive("factor") };
  if (type === "llama3") {
    return {
      type,
      factor: scaling.positive("factor"),
      lowFreqFactor: scaling.positive("low_freq_factor"),
      highFreqFactor: scaling.positive("high_freq_factor"),
      originalMaxPositions: scaling.size("original_max_position_embeddings"),
    };
  }
  const factors = scaling.numbers("factors");
  if (type === "factors" && factors !== null) return { type, factors };
  throw new ModelConfigError(
    `Rope scaling "${type}" is not supported: supported are "default", "linear" and "llama3"`,
  );
}
