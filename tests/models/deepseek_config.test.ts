/** What a config.json of DeepSeek amounts to, with the fields of real repositories and without. */
import { describe, expect, test } from "vitest";
import { layerMemoryOf } from "../../src/models/architecture.ts";
import { architectureOf } from "../../src/models/registry.ts";
import { read, REQUIRED } from "./configs.ts";

const V2 = { num_experts_per_tok: 6 };

/** As the repositories of DeepSeek V2 and V3 have it. */
const YARN = {
  type: "yarn",
  factor: 40,
  beta_fast: 32,
  beta_slow: 1,
  mscale: 0.707,
  mscale_all_dim: 0.707,
  original_max_position_embeddings: 4096,
};

describe("absent fields are what transformers 5.17 makes of them", () => {
  test("deepseek_v2", () => {
    const config = read("deepseek_v2", V2);
    expect(config).toMatchObject({
      ...{ maxPositions: 2048, headDim: 64, numKvHeads: 32, hasQkvBias: false, isTied: false },
      ...{ bosTokenId: 1, eosTokenIds: [2] },
      rope: { rotaryDim: 64, isInterleaved: true },
      latentAttention: {
        ...{ queryRank: 1536, latentDim: 512, nopeDim: 128, ropeDim: 64, valueDim: 128 },
        scoreScale: 1 / Math.sqrt(192),
      },
      moe: {
        ...{ numExperts: 64, numExpertsPerToken: 6, expertSize: 1407, scoring: "softmax" },
        ...{ isNormalised: false, scale: 1, groups: null, shared: { size: 2 * 1407 } },
        isSparse: [true, true, true],
      },
    });
  });

  test("deepseek_v3", () => {
    expect(read("deepseek_v3", { first_k_dense_replace: 1 })).toMatchObject({
      ...{ maxPositions: 4096, bosTokenId: 0, eosTokenIds: [1] },
      rope: { rotaryDim: 64, isInterleaved: true },
      latentAttention: { queryRank: 1536 },
      moe: {
        ...{ numExperts: 256, numExpertsPerToken: 8, expertSize: 2048, scoring: "sigmoid" },
        ...{ isNormalised: true, scale: 2.5, hasCorrectionBias: true },
        ...{ groups: { numGroups: 8, numChosen: 4, score: "top2-sum" }, shared: { size: 2048 } },
        isSparse: [false, true, true],
      },
    });
    // The first three layers are dense, and there are no more.
    expect(read("deepseek_v3").moe).toBeNull();
  });

  test("the experts of a token in V2, which the file has to name", () => {
    expect(() => read("deepseek_v2")).toThrow('"num_experts_per_tok" must be an integer');
  });
});

describe("config.json of real repositories", () => {
  test("yarn's mscale counts twice in the scores", () => {
    for (const field of ["rope_scaling", "rope_parameters"]) {
      const config = read("deepseek_v2", { ...V2, [field]: YARN });
      const mscale = 0.1 * 0.707 * Math.log(40) + 1;
      expect(config.latentAttention?.scoreScale).toBeCloseTo(mscale ** 2 / Math.sqrt(192), 12);
      expect(config.rope.scaling).toMatchObject({ type: "yarn", attentionFactor: 1 });
    }
    const plain = read("deepseek_v2", { ...V2, rope_scaling: { ...YARN, mscale_all_dim: 0 } });
    expect(plain.latentAttention?.scoreScale).toBe(1 / Math.sqrt(192));
  });

  test("head_dim and num_key_value_heads say nothing", () => {
    const config = read("deepseek_v3", { head_dim: 56, num_key_value_heads: 5 });
    expect(config).toMatchObject({ headDim: 64, numKvHeads: 32, rope: { rotaryDim: 64 } });
  });

  test("queries may come straight from the hidden states", () => {
    const hf = { model_type: "deepseek_v3", ...REQUIRED, q_lora_rank: null, attention_bias: true };
    const architecture = architectureOf(hf);
    const config = architecture.readConfig(hf);
    const { matrices, vectors } = architecture.layerTensors(config, 0);
    expect(matrices["query"]).toMatchObject({
      names: ["model.layers.0.self_attn.q_proj.weight"],
      ...{ numRows: 32 * 192, numCols: 256 },
    });
    expect(Object.keys(matrices)).not.toContain("queryDown");
    expect(vectors["latentBias"]).toMatchObject({ length: 576 });
    expect(layerMemoryOf({ architecture, config }, 0)).toEqual({
      type: "latent",
      latentDim: 512,
      ropeDim: 64,
    });
  });

  test("V2 chooses among all or within groups, V3 always within groups", () => {
    const groups = { n_group: 8, topk_group: 3 };
    const methods = ["greedy", "group_limited_greedy"].map((topk_method) =>
      read("deepseek_v2", { ...V2, ...groups, topk_method }).moe?.groups
    );
    expect(methods).toEqual([null, { numGroups: 8, numChosen: 3, score: "max" }]);
    const v3 = read("deepseek_v3", {
      ...{ ...groups, first_k_dense_replace: 0, topk_method: "noaux_tc" },
    });
    expect(v3.moe?.groups).toEqual({ numGroups: 8, numChosen: 3, score: "top2-sum" });
  });

  test("V3 may turn halves, V2 always neighbours", () => {
    expect(read("deepseek_v3", { rope_interleave: false }).rope.isInterleaved).toBe(false);
    expect(read("deepseek_v2", { ...V2, rope_interleave: false }).rope.isInterleaved).toBe(true);
  });
});

describe("what cannot be run is named", () => {
  test.each([
    ["kv_lora_rank", 4096, "an integer from 1 to 2048"],
    ["qk_rope_head_dim", 7, "even"],
    ["qk_nope_head_dim", 0, "an integer from 1 to 1024"],
    ["v_head_dim", 1025, "an integer from 1 to 1024"],
    ["topk_method", "noaux_tc", '"greedy" or "group_limited_greedy"'],
    ["hidden_act", "gelu", '"silu"'],
  ])("%s %j", (name, value, wanted) => {
    expect(() => read("deepseek_v2", { ...V2, [name]: value }))
      .toThrow(`config.json field "${name}" must be ${wanted}`);
  });
});
