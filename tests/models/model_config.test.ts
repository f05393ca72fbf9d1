/** What a config.json amounts to, by architecture, and which ones are refused before they cost. */
import { describe, expect, test } from "vitest";
import { read, REQUIRED } from "./configs.ts";

const MODEL_TYPES = ["llama", "mistral", "qwen2", "qwen3"];

describe("a field that is out of bounds is named, with the bound", () => {
  test.each([
    ["num_hidden_layers", 3e8, 1024],
    ["num_hidden_layers", 1025, 1024],
    ["num_attention_heads", 4097, 4096],
    ["num_key_value_heads", 4097, 4096],
    ["head_dim", 1028, 1024],
    ["hidden_size", 2 ** 20 + 1, 2 ** 20],
    ["intermediate_size", 2 ** 20 + 1, 2 ** 20],
    ["vocab_size", 2 ** 24 + 1, 2 ** 24],
    ["max_position_embeddings", 2 ** 31 + 1, 2 ** 31],
  ])("%s %i", (name, value, maximum) => {
    for (const modelType of MODEL_TYPES) {
      const start = performance.now();
      expect(() => read(modelType, { [name]: value })).toThrow(
        `config.json field "${name}" must be an integer from 1 to ${maximum}, found ${value}`,
      );
      expect(performance.now() - start).toBeLessThan(100);
    }
  });

  test.each([0, -1, 1.5, 2 ** 60, "3", [3], true])("num_hidden_layers %j", (value) => {
    expect(() => read("llama", { num_hidden_layers: value })).toThrow(
      '"num_hidden_layers" must be',
    );
  });

  test("windows", () => {
    const window = { use_sliding_window: true, sliding_window: 2 ** 31 + 1 };
    for (const modelType of ["mistral", "qwen2", "qwen3"]) {
      expect(() => read(modelType, window)).toThrow('"sliding_window" must be an integer from 1');
    }
    expect(() => read("qwen2", { use_sliding_window: true, max_window_layers: 2 ** 40 }))
      .toThrow('"max_window_layers" must be an integer from 0 to 2147483648');
    expect(() => read("mistral", { layer_types: ["full_attention"] }))
      .toThrow('"layer_types" must be a list of 3 entries');
  });

  test("heads times their size", () => {
    const sizes = { num_attention_heads: 4096, num_key_value_heads: 4096, head_dim: 1024 };
    expect(() => read("llama", sizes)).toThrow(
      '"num_attention_heads" must be at most 1048576 / 1024',
    );
  });

  test("required fields have no default", () => {
    for (const name of Object.keys(REQUIRED)) {
      expect(() => read("llama", { [name]: null })).toThrow(`"${name}" must be`);
    }
  });
});

describe("absent fields are what transformers 5.17 makes of them", () => {
  const shared = {
    rmsNormEps: 1e-6,
    isTied: false,
    hasOutputBias: false,
    hasMlpBias: false,
    rope: { theta: 10000, scaling: { type: "none" } },
  };
  test.each([
    ["llama", { numKvHeads: 32, headDim: 8, maxPositions: 2048, hasQkvBias: false }],
    ["mistral", { numKvHeads: 8, headDim: 8, maxPositions: 131072, hasQkvBias: false }],
    ["qwen2", { numKvHeads: 32, headDim: 8, maxPositions: 32768, hasQkvBias: true }],
    ["qwen3", { numKvHeads: 32, headDim: 128, maxPositions: 32768, hasQkvBias: false }],
  ])("%s", (modelType, expected) => {
    const window = modelType === "mistral" ? 4096 : null;
    expect(read(modelType)).toMatchObject({
      ...shared,
      ...expected,
      slidingWindows: [window, window, window],
    });
  });

  test("begin and end of text", () => {
    for (const modelType of ["llama", "mistral"]) {
      expect(read(modelType)).toMatchObject({ bosTokenId: 1, eosTokenIds: [2] });
    }
    for (const modelType of ["qwen2", "qwen3"]) {
      expect(read(modelType)).toMatchObject({ bosTokenId: null, eosTokenIds: [] });
    }
    expect(read("llama", { bos_token_id: null, eos_token_id: null }))
      .toMatchObject({ bosTokenId: null, eosTokenIds: [] });
  });

  test("qwen's windows, once they are on, span 4096 from layer 28", () => {
    const on = { use_sliding_window: true, num_hidden_layers: 30 };
    expect(read("qwen2", on).slidingWindows).toEqual([...new Array(28).fill(null), 4096, 4096]);
    expect(read("qwen3", { ...on, max_window_layers: 29, sliding_window: 8 }).slidingWindows)
      .toEqual([...new Array(29).fill(null), 8]);
  });
});

describe("an explicit null", () => {
  test("num_key_value_heads: one for each head", () => {
    for (const modelType of MODEL_TYPES) {
      expect(read(modelType, { num_key_value_heads: null }).numKvHeads).toBe(32);
    }
  });

  test("sliding_window: no window", () => {
    for (const modelType of ["mistral", "qwen2", "qwen3"]) {
      const config = read(modelType, {
        ...{ use_sliding_window: true, sliding_window: null, max_window_layers: 0 },
      });
      expect(config.slidingWindows).toEqual([null, null, null]);
    }
  });

  test("head_dim: the hidden size shared among the heads", () => {
    expect(read("llama", { head_dim: null }).headDim).toBe(8);
  });
});

describe("biases", () => {
  test("attention_bias speaks of all four projections", () => {
    for (const modelType of ["llama", "qwen3"]) {
      expect(read(modelType, { attention_bias: true }))
        .toMatchObject({ hasQkvBias: true, hasOutputBias: true });
    }
    expect(read("mistral", { attention_bias: true }))
      .toMatchObject({ hasQkvBias: false, hasOutputBias: false });
  });

  test("a GGUF tells q, k and v from the output", () => {
    for (const modelType of MODEL_TYPES) {
      expect(read(modelType, { qkv_bias: true, attention_output_bias: false }))
        .toMatchObject({ hasQkvBias: true, hasOutputBias: false });
      expect(read(modelType, { qkv_bias: false, attention_output_bias: true }))
        .toMatchObject({ hasQkvBias: false, hasOutputBias: true });
    }
  });
});

test("the MLP's activation has the names that transformers gives it", () => {
  const names = { swish: "silu", gelu_new: "gelu_pytorch_tanh", gelu_fast: "gelu_pytorch_tanh" };
  for (const modelType of MODEL_TYPES) {
    expect(() => read(modelType, { hidden_act: "gelu" }))
      .toThrow('"hidden_act" must be "silu" or "swish" or "gelu_pytorch_tanh" or');
    expect(read(modelType, { hidden_act: null }).activation).toBe("silu");
    for (const [hidden_act, activation] of Object.entries(names)) {
      expect(read(modelType, { hidden_act }).activation).toBe(activation);
    }
  }
});
