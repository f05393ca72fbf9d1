import type { RopeConfig } from "../core.ts";
import { ConfigReader, ModelConfigError } from "./config_reader.ts";
import { yarnMscale } from "./rope_angles.ts";

type Scaling = RopeConfig["scaling"];

const MAX_POSITIONS = 2 ** 31;

/** What a model's class has where the file says nothing. */
export interface RopeDefaults {
  /** 10,000 where left out. */
  readonly theta?: number;
  /** Share of a head that turns; 1 where left out. */
  readonly rotaryShare?: number;
  /** `max_position_embeddings` of a file that has none. */
  readonly maxPositions?: number;
  /** Which part of a file that has a rope for each type of layers; "full_attention" where left out. */
  readonly layerType?: "full_attention" | "sliding_attention";
}

/**
 * Reads `rope_theta` with `rope_scaling`, or the newer `rope_parameters` that holds both, for all
 * layers or for each type of layers. Throws a ModelConfigError for a kind of scaling that no kernel
 * knows and for numbers that turn no whole pairs.
 */
export function readRope(
  config: ConfigReader,
  headDim: number,
  { layerType = "full_attention", theta: defaultTheta = 10_000, rotaryShare = 1, maxPositions }:
    RopeDefaults = {},
): RopeConfig {
  const isGlobal = layerType === "full_attention";
  const [scaling, parameters] = ["rope_scaling", "rope_parameters"].map((name) => {
    const all = config.object(name);
    if (all?.has(layerType)) return all.object(layerType);
    return isGlobal ? all : null;
  });
  const places = [scaling, parameters].filter((place) => place != null);
  const holder = (name: string) => places.find((place) => place.has(name)) ?? config;
  const rotaryDim = readRotaryDim(holder("partial_rotary_factor"), { headDim, rotaryShare });
  const base = places.find((place) => place.has("rope_theta"))?.positive("rope_theta");
  const baseField = isGlobal ? "rope_theta" : "rope_local_base_freq";
  const theta = base ?? config.positive(baseField, defaultTheta);
  const positions = new ConfigReader({
    max_position_embeddings: maxPositions,
    ...config.fields,
  });
  return {
    theta,
    rotaryDim,
    isInterleaved: config.flag("rope_interleaved", false),
    scaling: readScaling(places[0] ?? null, { config: positions, theta, numPairs: rotaryDim / 2 }),
  };
}

function readRotaryDim(
  config: ConfigReader,
  { headDim, rotaryShare }: { readonly headDim: number; readonly rotaryShare: number },
): number {
  const share = config.positive("partial_rotary_factor", rotaryShare);
  // A share that was divided out of whole dimensions may fall short of them by a rounding.
  const rotaryDim = Math.floor(headDim * share + 1e-6);
  if (share <= 1 && rotaryDim >= 2 && rotaryDim % 2 === 0) return rotaryDim;
  throw config.fail(
    "partial_rotary_factor",
    `at most 1 and turn an even number of the ${headDim} dimensions of a head`,
  );
}

function readScaling(
  scaling: ConfigReader | null,
  { config, theta, numPairs }: {
    readonly config: ConfigReader;
    readonly theta: number;
    readonly numPairs: number;
  },
): Scaling {
  const type = scaling?.text("rope_type", scaling.text("type", "default")) ?? "default";
  // What "dynamic" does begins behind `max_position_embeddings`: longer sequences are not its due.
  if (scaling === null || type === "default" || type === "dynamic") return { type: "none" };
  if (type === "linear") return { type, factor: scaling.positive("factor") };
  if (type === "llama3") return readLlama3(scaling, config);
  if (type === "yarn") return readYarn(scaling, config, theta);
  if (type === "factors") {
    const factors = scaling.numbers("factors");
    const isUsable = factors?.length === numPairs && factors.every((factor) => factor > 0);
    if (isUsable) return { type, factors };
    throw scaling.fail("factors", `a list of ${numPairs} numbers above 0`);
  }
  throw new ModelConfigError(
    `Rope scaling "${type}" is not supported: supported are "default", "linear", ` +
      '"dynamic", "llama3" and "yarn"',
  );
}

function readLlama3(scaling: ConfigReader, config: ConfigReader): Scaling {
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
    originalMaxPositions: readOriginalLength(scaling, config),
  };
}

/** As transformers computes it: `attention_factor`, else a quotient of mscales, else the factor's. */
function readYarn(scaling: ConfigReader, config: ConfigReader, theta: number): Scaling {
  const originalMaxPositions = readOriginalLength(scaling, config);
  const factor = scaling.positive(
    "factor",
    config.has("max_position_embeddings")
      ? config.positive("max_position_embeddings") / originalMaxPositions
      : undefined,
  );
  const betaFast = positiveOr(scaling, "beta_fast", 32);
  const betaSlow = positiveOr(scaling, "beta_slow", 1);
  if (betaFast < betaSlow) throw scaling.fail("beta_fast", `at least "beta_slow", ${betaSlow}`);
  if (theta <= 1) throw new ModelConfigError(`Rope scaling "yarn" needs a "rope_theta" above 1`);
  const mscale = positiveOr(scaling, "mscale", 0);
  const mscaleAllDim = positiveOr(scaling, "mscale_all_dim", 0);
  const attentionFactor = mscale > 0 && mscaleAllDim > 0
    ? yarnMscale(factor, mscale) / yarnMscale(factor, mscaleAllDim)
    : yarnMscale(factor);
  return {
    type: "yarn",
    factor,
    betaFast,
    betaSlow,
    originalMaxPositions,
    isTruncated: scaling.flag("truncate", true),
    attentionFactor: scaling.positive("attention_factor", attentionFactor),
    mscaleAllDim,
  };
}

/** Beside the scaling, where it goes first, in it, or else the only length that the file has. */
function readOriginalLength(scaling: ConfigReader, config: ConfigReader): number {
  const name = "original_max_position_embeddings";
  const range = { maximum: MAX_POSITIONS };
  const holder = [config, scaling].find((place) => place.has(name));
  return holder?.size(name, range) ?? config.size("max_position_embeddings", range);
}

/** A 0 stands for a field that is not there, as in transformers. */
function positiveOr(config: ConfigReader, name: string, fallback: number): number {
  return config.isZero(name) || !config.has(name) ? fallback : config.positive(name);
}
