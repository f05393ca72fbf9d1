/** Gemma 3's config.json, alone and as the text part of a model with images. */
import { describe, expect, test } from "vitest";
import type { HfConfig } from "../../src/core.ts";
import { architectureOf } from "../../src/models/registry.ts";
import { ropeOfLayer } from "../../src/models/rope_angles.ts";

function read(fields: HfConfig) {
  return architectureOf(fields).readConfig(fields);
}

function text(fields: HfConfig = {}) {
  return read({ model_type: "gemma3_text", num_hidden_layers: 7, ...fields });
}

describe("gemma3_text", () => {
  test("leaves out what transformers makes up", () => {
    expect(read({ model_type: "gemma3_text" })).toMatchObject({
      ...{ vocabSize: 262_208, hiddenSize: 2304, intermediateSize: 9216, numLayers: 26 },
      ...{ numHeads: 8, numKvHeads: 4, headDim: 256, maxPositions: 131_072 },
      ...{ isTied: true, hasQkvBias: false, bosTokenId: 2, eosTokenIds: [1] },
      ...{ embeddingScale: 48, attentionScale: 1 / 16, activation: "gelu_pytorch_tanh" },
      rope: { theta: 1e6, scaling: { type: "none" } },
      slidingRope: { theta: 1e4, scaling: { type: "none" } },
    });
  });

  test("caps logits where the file says so", () => {
    expect(text({ final_logit_softcapping: 30 }).logitCap).toBe(30);
    expect(text({ final_logit_softcapping: null }).logitCap).toBeNull();
  });

  test("slides by pattern or by the list of layers", () => {
    const w = 4096;
    expect(text().slidingWindows).toEqual([w, w, w, w, w, null, w]);
    for (const field of ["sliding_window_pattern", "_sliding_window_pattern"]) {
      expect(text({ [field]: 3, sliding_window: 9 }).slidingWindows)
        .toEqual([9, 9, null, 9, 9, null, 9]);
    }
    const layer_types = ["full_attention", ...new Array(6).fill("sliding_attention")];
    expect(text({ layer_types }).slidingWindows).toEqual([null, w, w, w, w, w, w]);
  });

  test("scales the rope of full layers only", () => {
    const linear = { rope_type: "linear", factor: 8 };
    const older = {
      ...{ rope_theta: 5e5, rope_local_base_freq: 5e3, rope_scaling: linear },
      sliding_window_pattern: 2,
    };
    const newer = {
      layer_types: text({ sliding_window_pattern: 2 }).slidingWindows
        .map((window) => window === null ? "full_attention" : "sliding_attention"),
      rope_parameters: {
        full_attention: { ...linear, rope_theta: 5e5 },
        sliding_attention: { rope_type: "default", rope_theta: 5e3 },
      },
    };
    for (const fields of [older, newer]) {
      const config = text(fields);
      expect(ropeOfLayer(config, 0)).toMatchObject({ theta: 5e3, scaling: { type: "none" } });
      expect(ropeOfLayer(config, 1)).toMatchObject({
        theta: 5e5,
        scaling: { type: "linear", factor: 8 },
      });
    }
  });

  test.each([
    [{ hidden_activation: "gelu" }, '"hidden_activation" must be "silu" or "swish" or'],
    [{ final_logit_softcapping: 0 }, '"final_logit_softcapping" must be a number above 0'],
    [{ use_bidirectional_attention: true }, '"use_bidirectional_attention" must be false'],
    [{ sliding_window: null }, '"sliding_window" must be an integer'],
    [{ query_pre_attn_scalar: 0 }, '"query_pre_attn_scalar" must be'],
  ])("%j is refused", (fields, message) => {
    expect(() => text(fields)).toThrow(message);
  });

  test("attn_logit_softcapping changes nothing, as in transformers", () => {
    expect(text({ attn_logit_softcapping: 50 })).toEqual(text({}));
  });
});

describe("gemma3", () => {
  test("is its text part, but for what the whole model says", () => {
    const config = read({
      model_type: "gemma3",
      eos_token_id: [1, 106],
      text_config: { hidden_size: 2560, num_hidden_layers: 34, eos_token_id: 1 },
    });
    expect(config).toMatchObject({
      ...{ modelType: "gemma3", hiddenSize: 2560, numLayers: 34, isTied: true },
      eosTokenIds: [1, 106],
    });
  });

  test("needs an object as its text part", () => {
    expect(() => read({ model_type: "gemma3", text_config: 3 })).toThrow('"text_config" must be');
  });
});
