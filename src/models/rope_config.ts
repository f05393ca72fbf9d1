import type { RopeConfig } from "../core.ts";
import { type ConfigReader, ModelConfigError } from "./config_reader.ts";

/**
 * Reads `rope_theta` with `rope_scaling`, or the newer `rope_parameters` that holds both.
 * Throws a ModelConfigError for a kind of scaling that no kernel knows and for numbers that turn no
 * whole pairs.
 */
export function readRope(config: ConfigReader, headDim: number): RopeConfig {
  const parameters = config.object("rope_parameters");
  const scaling = parameters ?? config.object("rope_scaling");
  const theta = parameters?.has("rope_theta")
    ? parameters.positive("rope_theta")
    : config.positive("rope_theta", 10_000);
  const rotaryDim = readRotaryDim(
    parameters?.has("partial_rotary_factor") ? parameters : config,
    headDim,
  );
  return {
    theta,
    rotaryDim,
    isInterleaved: config.flag("rope_interleaved", false),
    scaling: readScaling(scaling, rotaryDim / 2),
  };
}

function readRotaryDim(config: ConfigReader, headDim: number): number {
  const share = config.positive("partial_rotary_factor", 1);
  // A share that was divided out of whole dimensions may fall short of them by a rounding.
  const rotaryDim = Math.floor(headDim * share + 1e-6);
  if (share <= 1 && rotaryDim >= 2 && rotaryDim % 2 === 0) return rotaryDim;
  throw config.fail(
    "partial_rotary_factor",
    `at most 1 and turn an even number of the ${headDim} dimensions of a head`,
  );
}

function readScaling(scaling: ConfigReader | null, numPairs: number): RopeConfig["scaling"] {
  const type = scaling?.text("rope_type", scaling.text("type", "default")) ?? "default";
  if (scaling === null || type === "default") return { type: "none" };
  if (type === "linear") return { type, factor: scaling.positive("factor") };
  if (type === "llama3") return readLlama3(scaling);
  if (type === "factors") {
    const factors = scaling.numbers("factors");
    const isUsable = factors?.length === numPairs && factors.every((factor) => factor > 0);
    if (isUsable) return { type, factors };
    throw scaling.fail("factors", `a list of ${numPairs} numbers above 0`);
  }
  throw new ModelConfigError(
    `Rope scaling "${type}" is not supported: supported are "default", "linear" and "llama3"`,
  );
}

function readLlama3(scaling: ConfigReader): RopeConfig["scaling"] {
  const lowFreqFactor = scaling.positive("low_freq_factor");
  const highFreqFactor = scaling.positive("high_freq_factor");
  if (highFreqFactor <= lowFreqFactor) {
    throw scaling.fail("high_freq_factor", `above "low_freq_factor", which is ${lowFreqFactor}`);
  }
  return {
    type: "llama3",
    factor: scaling.positive("factor"),
    lowFreqFactor,
    highFreqFactor,
    originalMaxPositions: scaling.size("original_max_position_embeddings", { maximum: 2 ** 31 }),
  };
}
