import type { HfConfig, ModelConfig, MoeConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { deepseekLayers, readDeepseekConfig } from "./deepseek.ts";
import { readExperts, readFirstSparse, readGroups, readShared } from "./moe_config.ts";

/**
 * DeepSeek V3 and R1: latent attention; experts within the best groups by sigmoids with a correction,
 * beside shared ones.
 */
export const deepseekV3: Architecture = {
  modelType: "deepseek_v3",
  readConfig,
  ...deepseekLayers,
};

/** transformers' DeepseekV3Config, but for what is read with a fallback. */
const DEFAULTS = {
  max_position_embeddings: 4096,
  kv_lora_rank: 512,
  q_lora_rank: 1536,
  qk_nope_head_dim: 128,
  qk_rope_head_dim: 64,
  v_head_dim: 128,
  n_group: 8,
  topk_group: 4,
  bos_token_id: 0,
  eos_token_id: 1,
} as const;
const EXPERTS = {
  numExpertsFields: ["n_routed_experts", "num_local_experts"],
  numExperts: 256,
  numExpertsPerToken: 8,
  sizeField: "moe_intermediate_size",
  expertSize: 2048,
};
const DEFAULT_FIRST_SPARSE = 3;
const DEFAULT_SHARED = 1;

function readConfig(hf: HfConfig): ModelConfig {
  const fields = { ...DEFAULTS, ...hf };
  const config = new ConfigReader(fields);
  const read = readDeepseekConfig(fields, "deepseek_v3");
  const isSparse = readFirstSparse(config, read.numLayers, DEFAULT_FIRST_SPARSE);
  return {
    ...read,
    rope: { ...read.rope, isInterleaved: config.flag("rope_interleave", true) },
    moe: isSparse.includes(true) ? readMoe(config, isSparse) : null,
  };
}

/** One way to choose, whatever `topk_method` and `scoring_func` say. */
function readMoe(config: ConfigReader, isSparse: readonly boolean[]): MoeConfig {
  const experts = readExperts(config, EXPERTS, isSparse);
  return {
    ...experts,
    scoring: "sigmoid",
    hasCorrectionBias: true,
    isNormalised: config.flag("norm_topk_prob", true),
    normEpsilon: 1e-20,
    scale: config.positive("routed_scaling_factor", 2.5),
    groups: readGroups(config, experts, "top2-sum"),
    shared: readShared(config, experts, DEFAULT_SHARED),
  };
}
