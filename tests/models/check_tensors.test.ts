/** Shapes that contradict the configuration are found before anything is allocated for them. */
import { describe, expect, test } from "vitest";
import { type HfConfig, type Shard, splitLayers } from "../../src/core.ts";
import { checkTensors } from "../../src/models/check_tensors.ts";
import { architectureOf } from "../../src/models/registry.ts";
import { read } from "./configs.ts";

const SIZES = {
  hidden_size: 32,
  intermediate_size: 48,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
};
const WHOLE = splitLayers(3, 1)[0]!;

function check(
  tensors: ReadonlyMap<string, { shape: readonly number[] }>,
  options: { modelType?: string; extra?: HfConfig; shard?: Shard } = {},
): string[] {
  const { modelType = "llama", extra = {}, shard = WHOLE } = options;
  const config = read(modelType, { ...SIZES, ...extra });
  return checkTensors(tensors, {
    architecture: architectureOf({ model_type: modelType }),
    config,
    shard,
  });
}

/** A llama of three layers with all biases and head norms, so that every architecture finds its own. */
function model(changes: Readonly<Record<string, readonly number[] | null>> = {}) {
  const shapes: Record<string, readonly number[] | null> = {
    "model.embed_tokens.weight": [320, 32],
    "model.norm.weight": [32],
    "lm_head.weight": [320, 32],
  };
  for (let layer = 0; layer < 3; layer++) {
    const linear = (name: string, rows: number, cols: number) => {
      shapes[`model.layers.${layer}.${name}.weight`] = [rows, cols];
      shapes[`model.layers.${layer}.${name}.bias`] = [rows];
    };
    linear("self_attn.q_proj", 32, 32);
    linear("self_attn.k_proj", 16, 32);
    linear("self_attn.v_proj", 16, 32);
    linear("self_attn.o_proj", 32, 32);
    linear("mlp.gate_proj", 48, 32);
    linear("mlp.up_proj", 48, 32);
    linear("mlp.down_proj", 32, 48);
    for (const norm of ["input_layernorm", "post_attention_layernorm"]) {
      shapes[`model.layers.${layer}.${norm}.weight`] = [32];
    }
    for (const norm of ["q_norm", "k_norm"]) {
      shapes[`model.layers.${layer}.self_attn.${norm}.weight`] = [8];
    }
  }
  const entries = Object.entries({ ...shapes, ...changes });
  return new Map(entries.flatMap(([name, shape]) => shape ? [[name, { shape }]] : []));
}

test("a whole model passes, with whatever biases and norms it has", () => {
  for (const modelType of ["llama", "mistral", "qwen2", "qwen3"]) {
    expect(check(model(), { modelType })).toEqual([]);
  }
  expect(check(model(), { extra: { attention_bias: true, mlp_bias: true } })).toEqual([]);
});

test("a tied head needs no tensor of its own, but the embedding", () => {
  const tied = { tie_word_embeddings: true };
  expect(check(model({ "lm_head.weight": null }), { extra: tied })).toEqual([]);
  expect(check(model({ "lm_head.weight": null }))).toEqual(["lm_head.weight"]);
  const tail = splitLayers(3, 3)[2]!;
  expect(check(model({ "model.embed_tokens.weight": null }), { extra: tied, shard: tail }))
    .toEqual(["model.embed_tokens.weight"]);
});

test("missing tensors are returned by name, for the shard that needs them only", () => {
  const name = "model.layers.2.mlp.up_proj.weight";
  const shards = splitLayers(3, 3);
  const results = shards.map((shard) => check(model({ [name]: null }), { shard }));
  expect(results).toEqual([[], [], [name]]);
});

describe("a shape that does not fit is refused", () => {
  test.each([
    ["model.embed_tokens.weight", [319, 32], "[320, 32]"],
    ["model.embed_tokens.weight", [32], "[320, 32]"],
    ["model.norm.weight", [31], "[32]"],
    ["model.norm.weight", [32, 1], "[32]"],
    ["lm_head.weight", [320, 64], "[320, 32]"],
    ["model.layers.1.self_attn.k_proj.weight", [32, 32], "[16, 32]"],
    ["model.layers.2.mlp.down_proj.weight", [48, 32], "[32, 48]"],
    ["model.layers.0.input_layernorm.weight", [], "[32]"],
  ])("%s %j", (name, shape, wanted) => {
    expect(() => check(model({ [name]: shape }))).toThrow(
      `Tensor "${name}" has shape [${shape.join(", ")}], but config.json wants ${wanted}`,
    );
  });

  test("even where joined tensors add up", () => {
    const k = "model.layers.0.self_attn.k_proj.weight";
    const v = "model.layers.0.self_attn.v_proj.weight";
    expect(() => check(model({ [k]: [24, 32], [v]: [8, 32] }))).toThrow(`Tensor "${k}" has shape`);
    const gate = "model.layers.0.mlp.gate_proj.bias";
    const up = "model.layers.0.mlp.up_proj.bias";
    const uneven = model({ [gate]: [40], [up]: [56] });
    expect(() => check(uneven, { extra: { mlp_bias: true } })).toThrow(
      `Tensor "${gate}" has shape`,
    );
  });
});
