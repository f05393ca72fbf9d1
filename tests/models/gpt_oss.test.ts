/** gpt-oss's config.json: what transformers makes up, and what is refused. */
import { describe, expect, test } from "vitest";
import { checkTensors } from "../../src/models/check_tensors.ts";
import { architectureOf } from "../../src/models/registry.ts";
import { read } from "./configs.ts";

describe("gpt_oss", () => {
  test("leaves out what transformers makes up", () => {
    expect(read("gpt_oss")).toMatchObject({
      ...{ numKvHeads: 8, headDim: 64, rmsNormEps: 1e-5, maxPositions: 131_072 },
      ...{ hasQkvBias: true, hasOutputBias: true, isTied: false },
      slidingWindows: [128, null, 128],
      rope: {
        theta: 150_000,
        scaling: { type: "yarn", factor: 32, originalMaxPositions: 4096, isTruncated: false },
      },
      moe: { numExperts: 128, numExpertsPerToken: 4, expertSize: 512, hasExpertBias: true },
    });
  });

  test("takes both names of the number of experts, and a file's own rope and windows", () => {
    expect(read("gpt_oss", { num_experts: 6 }).moe!.numExperts).toBe(6);
    expect(read("gpt_oss", { num_local_experts: 5 }).moe!.numExperts).toBe(5);
    const own = {
      ...{ attention_bias: false, rope_theta: 7, sliding_window: 9 },
      rope_scaling: { rope_type: "linear", factor: 2 },
      layer_types: ["full_attention", "sliding_attention", "full_attention"],
    };
    expect(read("gpt_oss", own)).toMatchObject({
      ...{ hasQkvBias: false, slidingWindows: [null, 9, null] },
      rope: { theta: 7, scaling: { type: "linear", factor: 2 } },
    });
  });

  test("leaves it to the tensors whether they are quantised", () => {
    const quantization_config = { quant_method: "mxfp4" };
    expect(read("gpt_oss", { quantization_config })).toEqual(read("gpt_oss", {}));
  });

  test("wants each expert's matrices transposed, and biases by expert", () => {
    const config = read("gpt_oss", { num_experts: 3, num_experts_per_tok: 2 });
    const architecture = architectureOf({ model_type: "gpt_oss" });
    const shard = { startLayer: 1, endLayer: 2, hasEmbedding: false, hasHead: false };
    const name = "model.layers.1.mlp.experts.";
    const check = (suffix: string, shape: readonly number[]) =>
      checkTensors(new Map([[name + suffix, { shape }]]), { architecture, config, shard });
    expect(check("gate_up_proj", [3, 256, 1024])).not.toContain(`${name}gate_up_proj`);
    expect(check("down_proj", [3, 512, 256])).not.toContain(`${name}down_proj`);
    expect(check("gate_up_proj_bias", [3, 1024])).not.toContain(`${name}gate_up_proj_bias`);
    expect(() => check("gate_up_proj", [3, 1024, 256])).toThrow("wants [3, 256, 1024]");
    expect(() => check("down_proj", [3 * 512, 256])).toThrow("wants [3, 512, 256]");
    expect(() => check("down_proj_bias", [3 * 256])).toThrow("wants [3, 256]");
  });
});
