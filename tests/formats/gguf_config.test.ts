import { describe, expect, test } from "vitest";
import { readGgufHeader } from "../../src/formats/gguf.ts";
import { configFromGguf } from "../../src/formats/gguf_config.ts";
import { hfTensorName, hfTensors } from "../../src/formats/gguf_tensor_names.ts";
import type { ListedTensor } from "../../src/formats/tensor_entry.ts";
import { MemorySource } from "../../src/weights/memory_source.ts";
import { array, asF32, asText, asU32, type TypedValue, u32, writeGguf } from "./gguf_writer.ts";

type Metadata = Record<string, TypedValue>;

async function config(
  architecture: string,
  extra: Metadata = {},
  tensors: readonly string[] = ["token_embd.weight", "output.weight"],
) {
  const fields: Metadata = {
    "general.architecture": asText(architecture),
    [`${architecture}.embedding_length`]: asU32(64),
    [`${architecture}.feed_forward_length`]: asU32(128),
    [`${architecture}.block_count`]: asU32(3),
    [`${architecture}.context_length`]: asU32(512),
    [`${architecture}.attention.head_count`]: asU32(4),
    [`${architecture}.attention.head_count_kv`]: asU32(2),
    [`${architecture}.attention.layer_norm_rms_epsilon`]: asF32(2 ** -20),
    ...extra,
  };
  const bytes = writeGguf({
    metadata: Object.entries(fields),
    tensors: tensors.map((name, i) => ({ name, dims: [2n, 4n], offset: BigInt(32 * i) })),
    dataBytes: 32 * tensors.length,
  });
  return configFromGguf(await readGgufHeader(new MemorySource("m.gguf", bytes)), "m.gguf");
}

test("configFromGguf() fills a llama config", async () => {
  expect(await config("llama", { "llama.rope.freq_base": asF32(100000) })).toEqual({
    model_type: "llama",
    hidden_size: 64,
    intermediate_size: 128,
    num_hidden_layers: 3,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    rms_norm_eps: 2 ** -20,
    max_position_embeddings: 512,
    vocab_size: 4,
    rope_theta: 100000,
    rope_scaling: null,
    rope_interleaved: true,
    tie_word_embeddings: false,
    qkv_bias: false,
    attention_output_bias: false,
    mlp_bias: false,
    hidden_act: "silu",
    bos_token_id: null,
    eos_token_id: [],
  });
});

test("a missing output matrix ties the head to the embedding", async () => {
  expect(await config("qwen3", {}, ["token_embd.weight"])).toMatchObject({
    model_type: "qwen3",
    tie_word_embeddings: true,
    rope_interleaved: false,
  });
});

test("llama with a sliding window is mistral", async () => {
  expect(await config("llama", { "llama.attention.sliding_window": asU32(32) })).toMatchObject({
    model_type: "mistral",
    sliding_window: 32,
    use_sliding_window: true,
    rope_interleaved: true,
  });
});

test("key length, linear rope and biases come through", async () => {
  const tensors = ["token_embd.weight", "blk.0.attn_q.bias", "blk.2.ffn_down.weight"];
  expect(
    await config("qwen2", {
      "qwen2.attention.key_length": asU32(32),
      "qwen2.rope.dimension_count": asU32(16),
      "qwen2.rope.scaling.type": asText("linear"),
      "qwen2.rope.scaling.factor": asF32(4),
    }, tensors),
  ).toMatchObject({
    head_dim: 32,
    partial_rotary_factor: 0.5,
    rope_scaling: { rope_type: "linear", factor: 4 },
    qkv_bias: true,
    attention_output_bias: false,
  });
});

test("each bias is announced by its own tensor", async () => {
  expect(await config("llama", {}, ["token_embd.weight", "blk.2.a.weight", "blk.0.attn_k.bias"]))
    .toMatchObject({ qkv_bias: true, attention_output_bias: false, mlp_bias: false });
  expect(
    await config("llama", {}, ["token_embd.weight", "blk.2.a.weight", "blk.0.attn_output.bias"]),
  )
    .toMatchObject({ qkv_bias: false, attention_output_bias: true, mlp_bias: false });
});

test("a tensor of rope divisors is announced", async () => {
  const names = ["token_embd.weight", "rope_freqs.weight"];
  expect(await config("llama", {}, names)).toMatchObject({
    rope_scaling: { rope_type: "factors" },
  });
});

test("end tokens are collected once, missing ones left out", async () => {
  expect(
    await config("llama", {
      "tokenizer.ggml.bos_token_id": asU32(1),
      "tokenizer.ggml.eos_token_id": asU32(2),
      "tokenizer.ggml.eot_token_id": asU32(5),
      "tokenizer.ggml.eom_token_id": asU32(0xffffffff),
    }),
  ).toMatchObject({ bos_token_id: 1, eos_token_id: [2, 5] });
});

test("one value a layer is taken where all are equal", async () => {
  const heads = (...counts: number[]): TypedValue => [9, array(4, counts.map(u32))];
  expect(await config("llama", { "llama.attention.head_count_kv": heads(2, 2, 2) }))
    .toMatchObject({ num_key_value_heads: 2 });
  await expect(config("llama", { "llama.attention.head_count_kv": heads(2, 1, 2) }))
    .rejects.toThrow('"llama.attention.head_count_kv" differs between layers');
});

describe("configFromGguf() refuses", () => {
  test("an architecture without a row", async () => {
    await expect(config("mamba")).rejects.toThrow(
      'GGUF architecture "mamba" is not supported: use one of "llama", "qwen2", "qwen3"',
    );
  });

  test.each([
    [130_000_000, 'block_count" is 130000000: at most 1024 are supported'],
    [1025, 'block_count" is 1025: at most 1024'],
    [0, 'block_count" is 0'],
    [4, 'block_count" is 4, but the last block with tensors is "blk.2"'],
    [2, 'block_count" is 2, but the last block with tensors is "blk.2"'],
  ])("%i blocks where tensors make 3", async (count, message) => {
    const tensors = ["token_embd.weight", "blk.0.attn_q.weight", "blk.2.attn_q.weight"];
    await expect(config("llama", { "llama.block_count": asU32(count) }, tensors))
      .rejects.toThrow(message);
  });

  test.each([0, 15, 18, 128])("rope over %i of 16 dimensions", async (count) => {
    await expect(config("llama", { "llama.rope.dimension_count": asU32(count) }))
      .rejects.toThrow(`"llama.rope.dimension_count" is ${count}`);
  });

  test("a model without heads", async () => {
    await expect(config("llama", { "llama.attention.head_count": asU32(0) }))
      .rejects.toThrow('"llama.attention.head_count" is 0');
  });

  test("a missing field, by its name", async () => {
    await expect(config("llama", { "llama.block_count": asText("three") }))
      .rejects.toThrow('"llama.block_count" is no number');
  });
});

test.each([
  ["token_embd.weight", "model.embed_tokens.weight"],
  ["output_norm.weight", "model.norm.weight"],
  ["output.weight", "lm_head.weight"],
  ["blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight"],
  ["blk.12.attn_k.bias", "model.layers.12.self_attn.k_proj.bias"],
  ["blk.3.attn_v.bias", "model.layers.3.self_attn.v_proj.bias"],
  ["blk.3.attn_output.weight", "model.layers.3.self_attn.o_proj.weight"],
  ["blk.3.attn_q_norm.weight", "model.layers.3.self_attn.q_norm.weight"],
  ["blk.3.attn_k_norm.weight", "model.layers.3.self_attn.k_norm.weight"],
  ["blk.3.attn_norm.weight", "model.layers.3.input_layernorm.weight"],
  ["blk.3.ffn_norm.weight", "model.layers.3.post_attention_layernorm.weight"],
  ["blk.3.ffn_gate.weight", "model.layers.3.mlp.gate_proj.weight"],
  ["blk.3.ffn_up.weight", "model.layers.3.mlp.up_proj.weight"],
  ["blk.3.ffn_down.weight", "model.layers.3.mlp.down_proj.weight"],
  ["blk.3.ffn_gate_inp.weight", null],
  ["rope_freqs.weight", null],
  ["blk.0.output.weight", null],
  ["blk.0.constructor.weight", null],
])("hfTensorName(%s) is %s", (gguf, hf) => {
  expect(hfTensorName(gguf, "llama")).toBe(hf);
});

test.each([
  ["blk.1.ffn_gate_inp.weight", "mixtral", "model.layers.1.block_sparse_moe.gate.weight"],
  ["blk.1.ffn_gate_inp.weight", "qwen3_moe", "model.layers.1.mlp.gate.weight"],
  ["blk.1.ffn_norm.weight", "gemma3_text", "model.layers.1.pre_feedforward_layernorm.weight"],
  ["blk.1.post_ffw_norm.weight", "gemma3_text", "model.layers.1.post_feedforward_layernorm.weight"],
])("hfTensorName(%s) of %s is %s", (gguf, modelType, hf) => {
  expect(hfTensorName(gguf, modelType)).toBe(hf);
});

describe("stacked experts", () => {
  const stacked: ListedTensor = {
    name: "blk.2.ffn_up_exps.weight",
    format: "f16",
    typeName: "F16",
    shape: [3, 4, 8],
    offset: 1000,
    byteLength: 192,
  };

  test("become one tensor for each expert, where it lies", () => {
    const own = { format: "f16", typeName: "F16", shape: [4, 8], byteLength: 64 };
    expect(hfTensors(stacked, "mixtral")).toEqual([
      { ...own, name: "model.layers.2.block_sparse_moe.experts.0.w3.weight", offset: 1000 },
      { ...own, name: "model.layers.2.block_sparse_moe.experts.1.w3.weight", offset: 1064 },
      { ...own, name: "model.layers.2.block_sparse_moe.experts.2.w3.weight", offset: 1128 },
    ]);
    expect(hfTensors({ ...stacked, name: "blk.0.ffn_down_exps.weight" }, "qwen3_moe")[1]).toEqual(
      { ...own, name: "model.layers.0.mlp.experts.1.down_proj.weight", offset: 1064 },
    );
  });

  test("stay as they are where no model has them, or they are no stack", () => {
    for (
      const other of [stacked, { ...stacked, shape: [3, 32] }, { ...stacked, shape: [5, 2, 3] }]
    ) {
      expect(hfTensors(other, other === stacked ? "llama" : "mixtral")).toEqual([other]);
    }
  });
});

test("llama with experts is mixtral", async () => {
  const fields = { "llama.expert_count": asU32(8), "llama.expert_used_count": asU32(2) };
  expect(await config("llama", fields)).toMatchObject({
    ...{ model_type: "mixtral", num_local_experts: 8, num_experts_per_tok: 2 },
    rope_interleaved: true,
  });
  await expect(config("llama", { "llama.expert_count": asU32(8) }))
    .rejects.toThrow("expert_used_count");
});

test("qwen3moe normalises its weights unless the file says otherwise", async () => {
  const fields = {
    "qwen3moe.expert_count": asU32(8),
    "qwen3moe.expert_used_count": asU32(2),
    "qwen3moe.expert_feed_forward_length": asU32(24),
  };
  const expected = { model_type: "qwen3_moe", moe_intermediate_size: 24, norm_topk_prob: true };
  expect(await config("qwen3moe", fields)).toMatchObject(expected);
  const own = { ...fields, "qwen3moe.expert_weights_norm": [7, new Uint8Array([0])] as const };
  expect(await config("qwen3moe", own)).toMatchObject({ ...expected, norm_topk_prob: false });
});

test("gemma3 has the constants of its family, and those of its largest model", async () => {
  const fields = { "gemma3.attention.key_length": asU32(32) };
  expect(await config("gemma3", fields)).toMatchObject({
    ...{ model_type: "gemma3_text", unit_offset_norms: false, query_pre_attn_scalar: 32 },
    ...{ rope_theta: 1e6, rope_local_base_freq: 10_000, final_logit_softcapping: null },
  });
  const largest = { ...fields, "gemma3.block_count": asU32(62) };
  expect(await config("gemma3", largest)).toMatchObject({ query_pre_attn_scalar: 16 });
});
