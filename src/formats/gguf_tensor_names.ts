/**
 * GGUF tensors under Hugging Face names: what differs between architectures is a row of a table, and
 * a tensor of all experts becomes one for each.
 *
 * @module
 */
import type { ListedTensor } from "./tensor_entry.ts";

const MODEL_NAMES: Readonly<Record<string, string>> = {
  token_embd: "model.embed_tokens",
  output_norm: "model.norm",
  output: "lm_head",
};

const LAYER_NAMES: Readonly<Record<string, string>> = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  attn_q_norm: "self_attn.q_norm",
  attn_k_norm: "self_attn.k_norm",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

/** Names of layers that a model type has beside those, or in their place. */
const OWN_NAMES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  mixtral: { ffn_gate_inp: "block_sparse_moe.gate" },
  qwen3_moe: { ffn_gate_inp: "mlp.gate" },
  gemma3_text: {
    post_attention_norm: "post_attention_layernorm",
    ffn_norm: "pre_feedforward_layernorm",
    post_ffw_norm: "post_feedforward_layernorm",
  },
};

/** Modules of an expert by the tensors [experts, rows, columns] that hold all of them. */
interface ExpertNames {
  readonly block: string;
  readonly ffn_gate_exps: string;
  readonly ffn_up_exps: string;
  readonly ffn_down_exps: string;
}

const EXPERT_NAMES: Readonly<Record<string, ExpertNames>> = {
  mixtral: {
    block: "block_sparse_moe.experts",
    ffn_gate_exps: "w1",
    ffn_up_exps: "w3",
    ffn_down_exps: "w2",
  },
  qwen3_moe: {
    block: "mlp.experts",
    ffn_gate_exps: "gate_proj",
    ffn_up_exps: "up_proj",
    ffn_down_exps: "down_proj",
  },
};

/** The Hugging Face name of a GGUF tensor, or null when it has none. */
export function hfTensorName(ggufName: string, modelType: string): string | null {
  const match = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(ggufName);
  if (!match) return null;
  const [, layer, stem = "", kind] = match;
  const names = layer === undefined
    ? MODEL_NAMES
    : { ...LAYER_NAMES, ...(OWN_NAMES[modelType] ?? {}) };
  if (!Object.hasOwn(names, stem)) return null;
  const prefix = layer === undefined ? "" : `model.layers.${layer}.`;
  return `${prefix}${names[stem]}.${kind}`;
}

/** The tensor under its Hugging Face name, or as one for each expert; as it is where it has none. */
export function hfTensors(tensor: ListedTensor, modelType: string): ListedTensor[] {
  const name = hfTensorName(tensor.name, modelType);
  if (name !== null) return [{ ...tensor, name }];
  const match = /^blk\.(\d+)\.(ffn_(?:gate|up|down)_exps)\.weight$/.exec(tensor.name);
  const names = EXPERT_NAMES[modelType];
  const [numExperts = 0, ...shape] = tensor.shape;
  if (!match || !names || shape.length !== 2 || tensor.byteLength % numExperts !== 0) {
    return [tensor];
  }
  const [, layer, stem] = match;
  const byteLength = tensor.byteLength / numExperts;
  return Array.from({ length: numExperts }, (_, expert) => ({
    ...tensor,
    name: `model.layers.${layer}.${names.block}.${expert}.${
      names[stem as keyof ExpertNames]
    }.weight`,
    shape,
    offset: tensor.offset + expert * byteLength,
    byteLength,
  }));
}
