import type { HfConfig, ModelConfig } from "../src/core.ts";
import { architectureOf } from "../src/models/registry.ts";

/** Names that `--shape` takes. */
export type ShapeName =
  | "llama-8b"
  | "llama-1b"
  | "qwen3-0.6b"
  | "smollm2-135m"
  | "qwen3-30b-a3b"
  | "gpt-oss-20b"
  | "deepseek-v2-lite"
  | "qwen3-next-80b-a3b";

const LLAMA3 = {
  model_type: "llama",
  vocab_size: 128_256,
  rms_norm_eps: 1e-5,
  rope_theta: 500_000,
  max_position_embeddings: 131_072,
} as const;

/** The config.json of published models, as far as it shapes the work. */
export const SHAPES: Readonly<Record<ShapeName, HfConfig>> = {
  // Llama 3.1 8B.
  "llama-8b": {
    ...LLAMA3,
    hidden_size: 4096,
    intermediate_size: 14_336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    head_dim: 128,
    tie_word_embeddings: false,
  },
  // Llama 3.2 1B.
  "llama-1b": {
    ...LLAMA3,
    hidden_size: 2048,
    intermediate_size: 8192,
    num_hidden_layers: 16,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    head_dim: 64,
    tie_word_embeddings: true,
  },
  "qwen3-0.6b": {
    model_type: "qwen3",
    vocab_size: 151_936,
    hidden_size: 1024,
    intermediate_size: 3072,
    num_hidden_layers: 28,
    num_attention_heads: 16,
    num_key_value_heads: 8,
    head_dim: 128,
    rms_norm_eps: 1e-6,
    rope_theta: 1_000_000,
    max_position_embeddings: 40_960,
    tie_word_embeddings: true,
  },
  "qwen3-30b-a3b": {
    model_type: "qwen3_moe",
    vocab_size: 151_936,
    hidden_size: 2048,
    intermediate_size: 6144,
    num_hidden_layers: 48,
    num_attention_heads: 32,
    num_key_value_heads: 4,
    head_dim: 128,
    rms_norm_eps: 1e-6,
    rope_theta: 1_000_000,
    max_position_embeddings: 40_960,
    num_experts: 128,
    num_experts_per_tok: 8,
    moe_intermediate_size: 768,
    norm_topk_prob: true,
    tie_word_embeddings: false,
  },
  "gpt-oss-20b": {
    model_type: "gpt_oss",
    vocab_size: 201_088,
    hidden_size: 2880,
    intermediate_size: 2880,
    num_hidden_layers: 24,
    num_attention_heads: 64,
    num_key_value_heads: 8,
    head_dim: 64,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 131_072,
    num_local_experts: 32,
    num_experts_per_tok: 4,
    sliding_window: 128,
    attention_bias: true,
    tie_word_embeddings: false,
    rope_theta: 150_000,
    rope_scaling: {
      rope_type: "yarn",
      factor: 32,
      beta_fast: 32,
      beta_slow: 1,
      truncate: false,
      original_max_position_embeddings: 4096,
    },
  },
  "qwen3-next-80b-a3b": {
    model_type: "qwen3_next",
    vocab_size: 151_936,
    hidden_size: 2048,
    intermediate_size: 5120,
    num_hidden_layers: 48,
    num_attention_heads: 16,
    num_key_value_heads: 2,
    head_dim: 256,
    rms_norm_eps: 1e-6,
    rope_theta: 10_000_000,
    partial_rotary_factor: 0.25,
    max_position_embeddings: 262_144,
    full_attention_interval: 4,
    linear_num_key_heads: 16,
    linear_num_value_heads: 32,
    linear_key_head_dim: 128,
    linear_value_head_dim: 128,
    linear_conv_kernel_dim: 4,
    num_experts: 512,
    num_experts_per_tok: 10,
    moe_intermediate_size: 512,
    shared_expert_intermediate_size: 512,
    norm_topk_prob: true,
    tie_word_embeddings: false,
  },
  "deepseek-v2-lite": {
    model_type: "deepseek_v2",
    vocab_size: 102_400,
    hidden_size: 2048,
    intermediate_size: 10_944,
    num_hidden_layers: 27,
    num_attention_heads: 16,
    q_lora_rank: null,
    kv_lora_rank: 512,
    qk_nope_head_dim: 128,
    qk_rope_head_dim: 64,
    v_head_dim: 128,
    first_k_dense_replace: 1,
    n_routed_experts: 64,
    n_shared_experts: 2,
    num_experts_per_tok: 6,
    moe_intermediate_size: 1408,
    topk_method: "greedy",
    max_position_embeddings: 163_840,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: false,
    rope_theta: 10_000,
    rope_scaling: {
      type: "yarn",
      factor: 40,
      beta_fast: 32,
      beta_slow: 1,
      mscale: 0.707,
      mscale_all_dim: 0.707,
      original_max_position_embeddings: 4096,
    },
  },
  "smollm2-135m": {
    model_type: "llama",
    vocab_size: 49_152,
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    head_dim: 64,
    rms_norm_eps: 1e-5,
    rope_theta: 100_000,
    max_position_embeddings: 8192,
    tie_word_embeddings: true,
  },
};

/** The sizes of a shape. */
export function shapeConfig(name: ShapeName): ModelConfig {
  const hf = SHAPES[name];
  return architectureOf(hf).readConfig(hf);
}
