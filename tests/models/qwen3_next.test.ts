/** What the config.json of Qwen3-Next amounts to, and which tensors it wants. */
import { describe, expect, test } from "vitest";
import { splitLayers } from "../../src/core.ts";
import { largestStateBytes } from "../../src/models/architecture.ts";
import { checkTensors } from "../../src/models/check_tensors.ts";
import { qwen3Next } from "../../src/models/qwen3_next.ts";
import { read } from "./configs.ts";

const TYPE = "qwen3_next";
const [LINEAR, FULL] = ["linear_attention", "full_attention"];

test("absent fields are what transformers 5.17 makes of them", () => {
  const config = read(TYPE, { num_hidden_layers: 8 });
  expect(config).toMatchObject({
    ...{ numKvHeads: 2, headDim: 256, maxPositions: 32768, rmsNormEps: 1e-6, isTied: false },
    ...{ hasQkNorm: true, hasUnitOffsetNorms: true, hasOutputGate: true, hasQkvBias: false },
    rope: { theta: 10_000, rotaryDim: 64 },
    linear: { numKeyHeads: 16, numValueHeads: 32, keyDim: 128, valueDim: 128, convKernel: 4 },
    moe: {
      ...{ numExperts: 512, numExpertsPerToken: 10, expertSize: 512, scoring: "softmax" },
      ...{ isNormalised: true, shared: { size: 512, isGated: true } },
    },
  });
  expect(config.linear?.isLinear).toEqual([true, true, true, false, true, true, true, false]);
  expect(config.moe?.isSparse).toEqual(new Array(8).fill(true));
  expect(largestStateBytes({ architecture: qwen3Next, config })).toBe(32 * 128 * 128 * 4);
});

describe("layers are linear", () => {
  test("but for every full_attention_interval-th", () => {
    const { linear } = read(TYPE, { num_hidden_layers: 5, full_attention_interval: 2 });
    expect(linear?.isLinear).toEqual([true, false, true, false, true]);
  });

  test("where layer_types says so, whatever the interval", () => {
    const types = { layer_types: [FULL, LINEAR, LINEAR], full_attention_interval: 1 };
    expect(read(TYPE, types).linear?.isLinear).toEqual([false, true, true]);
  });

  test("nowhere, with an interval of 1: then no layer keeps a state", () => {
    const config = read(TYPE, { full_attention_interval: 1 });
    expect(config.linear).toBe(null);
    expect(largestStateBytes({ architecture: qwen3Next, config })).toBe(0);
    expect(qwen3Next.scratchColumns(config)[0]).not.toHaveProperty("deltaGates");
  });
});

test("the share of a head that turns may stand with the rope's parameters", () => {
  const rope_parameters = { rope_type: "default", rope_theta: 5e6, partial_rotary_factor: 0.5 };
  expect(read(TYPE, { rope_parameters }).rope).toMatchObject({ theta: 5e6, rotaryDim: 128 });
  expect(read(TYPE, { rope_parameters: { rope_theta: 5e6 } }).rope).toMatchObject({
    rotaryDim: 64,
  });
  expect(read(TYPE, { partial_rotary_factor: 1 }).rope).toMatchObject({ rotaryDim: 256 });
});

test.each([
  [{ layer_types: [LINEAR] }, '"layer_types" must be a list of 3 entries'],
  [{ layer_types: [LINEAR, FULL, "sliding_attention"] }, '"layer_types" must be'],
  [{ linear_num_value_heads: 24 }, '"linear_num_value_heads" must be a multiple of 16 key heads'],
  [{ linear_conv_kernel_dim: 1 }, '"linear_conv_kernel_dim" must be an integer from 2'],
  [{ linear_key_head_dim: 513 }, '"linear_key_head_dim" must be an integer from 1 to 512'],
  [{ full_attention_interval: 0 }, '"full_attention_interval" must be'],
])("%j is refused", (extra, message) => {
  expect(() => read(TYPE, extra)).toThrow(message);
});

describe("tensors", () => {
  const config = read(TYPE, {
    ...{ hidden_size: 32, intermediate_size: 48, num_attention_heads: 4, head_dim: 8 },
    ...{ linear_num_key_heads: 2, linear_num_value_heads: 4, linear_key_head_dim: 8 },
    ...{ linear_value_head_dim: 12, num_experts: 0, full_attention_interval: 3 },
    tie_word_embeddings: true,
  });
  const shapes: Record<string, readonly number[]> = {
    "model.embed_tokens.weight": [320, 32],
    "model.norm.weight": [32],
    "model.layers.2.self_attn.q_proj.weight": [64, 32],
    "model.layers.2.self_attn.k_proj.weight": [16, 32],
    "model.layers.2.self_attn.v_proj.weight": [16, 32],
    "model.layers.2.self_attn.o_proj.weight": [32, 32],
    "model.layers.2.self_attn.q_norm.weight": [8],
    "model.layers.2.self_attn.k_norm.weight": [8],
  };
  for (const layer of [0, 1]) {
    const prefix = `model.layers.${layer}.linear_attn`;
    shapes[`${prefix}.in_proj_qkvz.weight`] = [2 * 16 + 2 * 48, 32];
    shapes[`${prefix}.in_proj_ba.weight`] = [8, 32];
    shapes[`${prefix}.conv1d.weight`] = [2 * 16 + 48, 1, 4];
    shapes[`${prefix}.A_log`] = [4];
    shapes[`${prefix}.dt_bias`] = [4];
    shapes[`${prefix}.norm.weight`] = [12];
    shapes[`${prefix}.out_proj.weight`] = [32, 48];
  }
  for (const layer of [0, 1, 2]) {
    shapes[`model.layers.${layer}.input_layernorm.weight`] = [32];
    shapes[`model.layers.${layer}.post_attention_layernorm.weight`] = [32];
    shapes[`model.layers.${layer}.mlp.gate_proj.weight`] = [48, 32];
    shapes[`model.layers.${layer}.mlp.up_proj.weight`] = [48, 32];
    shapes[`model.layers.${layer}.mlp.down_proj.weight`] = [32, 48];
  }
  const check = (changes: Record<string, readonly number[]> = {}) =>
    checkTensors(
      new Map(Object.entries({ ...shapes, ...changes }).map(([name, shape]) => [name, { shape }])),
      { architecture: qwen3Next, config, shard: splitLayers(3, 1)[0]! },
    );

  test("of linear layers and of those with a gate beside each query pass", () => {
    expect(check()).toEqual([]);
  });

  test("a convolution of another width is refused", () => {
    const name = "model.layers.1.linear_attn.conv1d.weight";
    for (const shape of [[80, 1, 3], [80, 4], [79, 1, 4]]) {
      expect(() => check({ [name]: shape })).toThrow("config.json wants [80, 1, 4]");
    }
  });
});
