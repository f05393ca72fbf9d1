import type { HfConfig, ModelConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader, ModelConfigError } from "./config_reader.ts";
import { type DenseDefaults, readDenseConfig } from "./dense_config.ts";
import { BLOCK_SPARSE_EXPERTS } from "./moe.ts";
import { readExperts } from "./moe_config.ts";
import { sparseLayers } from "./sparse.ts";

/**
 * MiniMax M2: query and key norms over all heads together, rope on the leading dimensions, experts
 * in every layer, chosen by sigmoids with a correction.
 */
export const minimaxM2: Architecture = {
  modelType: "minimax_m2",
  readConfig,
  ...sparseLayers(BLOCK_SPARSE_EXPERTS),
};

/** transformers' MiniMaxM2Config. */
const DEFAULTS: DenseDefaults = {
  modelType: "minimax_m2",
  numKvHeads: 8,
  headDim: 128,
  maxPositions: 196608,
  bosTokenId: 200034,
  eosTokenIds: [200020],
};
const THETA = 5e6;
const EXPERTS = {
  numExpertsFields: ["num_local_experts", "num_experts"],
  numExperts: 256,
  numExpertsPerToken: 8,
  sizeField: "intermediate_size",
  expertSize: 1536,
};

function readConfig(hf: HfConfig): ModelConfig {
  const config = new ConfigReader(hf);
  const dense = readDenseConfig(config, {
    ...DEFAULTS,
    rope: { theta: THETA, rotaryShare: readRotaryShare(config) },
  });
  if (!config.flag("use_qk_norm", true)) throw config.fail("use_qk_norm", "true");
  const scoring = config.text("scoring_func", "sigmoid");
  if (scoring !== "sigmoid") throw config.fail("scoring_func", '"sigmoid"');
  return {
    ...dense,
    hasQkNorm: true,
    hasWholeQkNorm: true,
    moe: {
      ...readExperts(config, EXPERTS, new Array<boolean>(dense.numLayers).fill(true)),
      scoring,
      hasCorrectionBias: true,
      isNormalised: true,
    },
  };
}

/** The hub's files give `rotary_dim` alone; transformers writes `partial_rotary_factor`. */
function readRotaryShare(config: ConfigReader): number {
  if (!config.has("rotary_dim")) return 1;
  const headDim = config.size("head_dim", { maximum: 1024, fallback: DEFAULTS.headDim ?? 1 });
  const rotaryDim = config.size("rotary_dim", { maximum: 1024 });
  if (rotaryDim <= headDim) return rotaryDim / headDim;
  throw new ModelConfigError(`Rope turns ${rotaryDim} of ${headDim} dimensions of a head`);
}
