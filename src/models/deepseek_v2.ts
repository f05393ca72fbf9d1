import type { HfConfig, ModelConfig, MoeConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { deepseekLayers, readDeepseekConfig } from "./deepseek.ts";
import { readExperts, readFirstSparse, readGroups, readShared } from "./moe_config.ts";

/**
 * DeepSeek V2: latent attention, whose rope turns neighbours; experts by a softmax, of all of them or
 * of the best groups, beside shared ones.
 */
export const deepseekV2: Architecture = {
  modelType: "deepseek_v2",
  readConfig,
  ...deepseekLayers,
};

/** transformers' DeepseekV2Config, but for what is read with a fallback. */
const DEFAULTS = {
  max_position_embeddings: 2048,
  kv_lora_rank: 512,
  q_lora_rank: 1536,
  qk_nope_head_dim: 128,
  qk_rope_head_dim: 64,
  v_head_dim: 128,
  bos_token_id: 1,
  eos_token_id: 2,
} as const;
const EXPERTS = {
  numExpertsFields: ["n_routed_experts", "num_experts"],
  numExperts: 64,
  numExpertsPerToken: null,
  sizeField: "moe_intermediate_size",
  expertSize: 1407,
};
const DEFAULT_FIRST_SPARSE = 0;
const DEFAULT_SHARED = 2;

function readConfig(hf: HfConfig): ModelConfig {
  const fields = { ...DEFAULTS, ...hf };
  const config = new ConfigReader(fields);
  const read = readDeepseekConfig(fields, "deepseek_v2");
  const isSparse = readFirstSparse(config, read.numLayers, DEFAULT_FIRST_SPARSE);
  return {
    ...read,
    rope: { ...read.rope, isInterleaved: true },
    hasMlpBias: config.flag("mlp_bias", false),
    moe: isSparse.includes(true) ? readMoe(config, isSparse) : null,
  };
}

/** transformers normalises no weights, whatever `norm_topk_prob` says, and scales them all. */
function readMoe(config: ConfigReader, isSparse: readonly boolean[]): MoeConfig {
  const experts = readExperts(config, EXPERTS, isSparse);
  const shared = readShared(config, experts, DEFAULT_SHARED);
  const method = config.text("topk_method", "greedy");
  const isGrouped = method === "group_limited_greedy";
  if (method !== "greedy" && !isGrouped) {
    throw config.fail("topk_method", '"greedy" or "group_limited_greedy"');
  }
  return {
    ...experts,
    scale: config.positive("routed_scaling_factor", 1),
    groups: isGrouped ? readGroups(config, experts, "max") : null,
    shared: shared && { ...shared, hasBias: config.flag("mlp_bias", false) },
  };
}
