/** What a config.json says about experts, in the spellings that repositories have. */
import { describe, expect, test } from "vitest";
import { architectureOf } from "../../src/models/registry.ts";
import { read } from "./configs.ts";

const SPARSE = ["qwen3_moe", "mixtral", "minimax_m2", "glm4_moe"];

describe("absent fields are what transformers 5.17 makes of them", () => {
  test.each([
    ["qwen3_moe", { numExperts: 128, numExpertsPerToken: 8, expertSize: 768, isNormalised: false }],
    ["mixtral", { numExperts: 8, numExpertsPerToken: 2, expertSize: 512, isNormalised: true }],
    ["minimax_m2", { numExperts: 256, expertSize: 512, scoring: "sigmoid", normEpsilon: 0 }],
    ["glm4_moe", {
      numExperts: 128,
      expertSize: 1408,
      isNormalised: true,
      normEpsilon: 1e-20,
      isSparse: [false, true, true],
      groups: null,
      scale: 1,
      shared: { size: 1408, isGated: false },
    }],
  ])("%s", (modelType, moe) => {
    expect(read(modelType).moe).toMatchObject(moe);
  });

  test.each(SPARSE)("%s has no activation but silu", (modelType) => {
    expect(read(modelType, { hidden_act: "swish" }).moe).not.toBeNull();
    expect(() => read(modelType, { hidden_act: "gelu_new" })).toThrow(
      '"hidden_act" must be "silu"',
    );
  });

  test("of the layers around them", () => {
    expect(read("qwen3_moe")).toMatchObject({ numKvHeads: 4, headDim: 8, rmsNormEps: 1e-6 });
    expect(read("mixtral", { head_dim: null })).toMatchObject({
      headDim: 8,
      rmsNormEps: 1e-5,
      rope: { theta: 1e6 },
      slidingWindows: [null, null, null],
    });
    expect(read("minimax_m2")).toMatchObject({
      headDim: 128,
      hasWholeQkNorm: true,
      rope: { theta: 5e6, rotaryDim: 128 },
      bosTokenId: 200034,
    });
    expect(read("glm4_moe")).toMatchObject({ hasQkNorm: false, rope: { rotaryDim: 4 } });
  });
});

test("the number of experts has several names", () => {
  for (const name of ["num_experts", "num_local_experts"]) {
    for (const modelType of SPARSE) {
      expect(read(modelType, { [name]: 24 }).moe?.numExperts).toBe(24);
    }
  }
  expect(read("glm4_moe", { n_routed_experts: 40 }).moe?.numExperts).toBe(40);
});

test("Qwen's dense layers come by step and by list, and no experts make a dense model", () => {
  const layers = { num_hidden_layers: 6, decoder_sparse_step: 2, mlp_only_layers: [3] };
  expect(read("qwen3_moe", layers).moe?.isSparse).toEqual([false, true, false, false, false, true]);
  const dense = { ...layers, num_experts: 0, mlp_only_layers: null };
  expect(read("qwen3_moe", dense).moe).toBeNull();
  expect(read("qwen3_moe", { mlp_only_layers: [0, 1, 2] }).moe).toBeNull();
});

test("Qwen's window is for all layers, and only where it is turned on", () => {
  expect(read("qwen3_moe", { sliding_window: 99 }).slidingWindows).toEqual([null, null, null]);
  const window = { use_sliding_window: true, sliding_window: 99, max_window_layers: 2 };
  expect(read("qwen3_moe", window).slidingWindows).toEqual([99, 99, 99]);
  expect(read("mixtral", { sliding_window: 99 }).slidingWindows).toEqual([99, 99, 99]);
});

test("MiniMax's rotary dimensions count where no share is given", () => {
  const rotaryDim = (fields: Record<string, unknown>) =>
    read("minimax_m2", { head_dim: 64, ...fields }).rope.rotaryDim;
  expect(rotaryDim({ rotary_dim: 32 })).toBe(32);
  expect(rotaryDim({ rotary_dim: 32, partial_rotary_factor: 0.75 })).toBe(48);
  expect(rotaryDim({ rope_parameters: { rope_theta: 1e4, partial_rotary_factor: 0.25 } })).toBe(16);
  expect(() => rotaryDim({ rotary_dim: 66 })).toThrow("66 of 64");
});

test("groups must divide the experts and hold enough of them", () => {
  const groups = { n_routed_experts: 24, num_experts_per_tok: 4, n_group: 6, topk_group: 2 };
  expect(read("glm4_moe", groups).moe?.groups)
    .toEqual({ numGroups: 6, numChosen: 2, score: "top2-sum" });
  expect(() => read("glm4_moe", { ...groups, n_group: 5 })).toThrow('"n_group" must be a divisor');
  expect(() => read("glm4_moe", { ...groups, n_group: 24 })).toThrow("at least 2 in a group");
  expect(() => read("glm4_moe", { ...groups, topk_group: 0 })).toThrow('"topk_group"');
  expect(() => read("glm4_moe", { ...groups, num_experts_per_tok: 9 })).toThrow("enough groups");
});

test.each(["num_experts_per_tok", "num_experts", "moe_intermediate_size"])(
  "%s out of bounds is refused",
  (name) => {
    for (const value of [0.5, -1, 2 ** 20]) {
      expect(() => read("qwen3_moe", { [name]: value })).toThrow(`"${name}" must be`);
    }
  },
);

test("a layer asks for each expert's tensors, gate above up", () => {
  const config = read("glm4_moe", { n_routed_experts: 9, moe_intermediate_size: 16 });
  const { layerTensors } = architectureOf({ model_type: "glm4_moe" });
  expect(Object.keys(layerTensors(config, 0).matrices)).not.toContain("router");
  const { matrices } = layerTensors(config, 2);
  expect(matrices["expertGateUp"]).toMatchObject({ numRows: 288, numCols: 256, groupRows: 32 });
  expect(matrices["expertGateUp"]?.names.slice(0, 3)).toEqual([
    "model.layers.2.mlp.experts.0.gate_proj.weight",
    "model.layers.2.mlp.experts.0.up_proj.weight",
    "model.layers.2.mlp.experts.1.gate_proj.weight",
  ]);
  expect(matrices["expertDown"]).toMatchObject({ numRows: 9 * 256, numCols: 16, groupRows: 256 });
});
