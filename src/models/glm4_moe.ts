import type { HfConfig, ModelConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { type DenseDefaults, readDenseConfig } from "./dense_config.ts";
import { MLP_EXPERTS } from "./moe.ts";
import { readExperts, readFirstSparse, readGroups, readShared } from "./moe_config.ts";
import { sparseLayers } from "./sparse.ts";

/**
 * GLM 4.5 and 4.6: rope on the leading dimensions, biases on q, k and v; after the first layers
 * experts, chosen within groups by sigmoids with a correction, beside shared ones.
 */
export const glm4Moe: Architecture = {
  modelType: "glm4_moe",
  readConfig,
  ...sparseLayers(MLP_EXPERTS),
};

/** transformers' Glm4MoeConfig. */
const DEFAULTS: DenseDefaults = {
  modelType: "glm4_moe",
  numKvHeads: 8,
  headDim: null,
  maxPositions: 131072,
  bosTokenId: null,
  eosTokenIds: [],
  rmsNormEps: 1e-5,
  rope: { rotaryShare: 0.5 },
};
const EXPERTS = {
  numExpertsFields: ["n_routed_experts", "num_local_experts", "num_experts"],
  numExperts: 128,
  numExpertsPerToken: 8,
  sizeField: "moe_intermediate_size",
  expertSize: 1408,
};
const DEFAULT_FIRST_SPARSE = 1;
const DEFAULT_SHARED = 1;

function readConfig(hf: HfConfig): ModelConfig {
  const config = new ConfigReader(hf);
  const dense = readDenseConfig(config, DEFAULTS);
  const isSparse = readFirstSparse(config, dense.numLayers, DEFAULT_FIRST_SPARSE);
  const experts = readExperts(config, EXPERTS, isSparse);
  return {
    ...dense,
    // The output has none, whatever `attention_bias` says.
    hasQkvBias: config.flag("attention_bias", false),
    hasQkNorm: config.flag("use_qk_norm", false),
    moe: isSparse.includes(true)
      ? {
        ...experts,
        scoring: "sigmoid",
        hasCorrectionBias: true,
        isNormalised: config.flag("norm_topk_prob", true),
        normEpsilon: 1e-20,
        scale: config.positive("routed_scaling_factor", 1),
        groups: readGroups(config, experts, "top2-sum"),
        shared: readShared(config, experts, DEFAULT_SHARED),
      }
      : null,
  };
}
