/** Verification names the layer whose weights, or whose embedding or head, are wrong. */
import { describe, expect, test } from "vitest";
import { type GoldenCase, openGoldenCase } from "../src/golden.ts";
import { defaultTuning } from "../src/kernels/tuning.ts";
import { hiddenError } from "../src/layer_check.ts";
import { FileStore } from "../src/platform/file_store.ts";
import { systemClock } from "../src/platform/system.ts";
import { type CaseReport, localTarget, verifyCase } from "../src/verify.ts";
import { openTestGpu } from "./kernels/gpu.ts";

const TOLERANCE = 2e-3;
const { context } = await openTestGpu();
const tuning = defaultTuning(context.capabilities, { isDeterministic: true, useF16Kv: false });

function golden(name: string): Promise<GoldenCase> {
  return openGoldenCase(new FileStore(`tests/golden/${name}`), name);
}

function check(
  name: string,
  open: () => Promise<GoldenCase>,
  { numStages = 1, tolerance = TOLERANCE } = {},
): Promise<CaseReport> {
  const target = localTarget({ context, tuning, numStages });
  return verifyCase(name, { target, tolerance, clock: systemClock }, open);
}

/** The case with half of some tensors gone. */
async function damaged(name: string, ...tensors: readonly string[]): Promise<GoldenCase> {
  const { source, inputs } = await golden(name);
  return {
    inputs,
    source: {
      ...source,
      hfConfig: source.hfConfig,
      tensors: source.tensors,
      readTensor: async (tensor, range) => {
        const bytes = await source.readTensor(tensor, range);
        if (tensors.includes(tensor)) bytes.fill(0, 0, bytes.length / 2);
        return bytes;
      },
    },
  };
}

describe("a wrong weight", () => {
  const layer = (n: number) => ({ where: "layer", layer: n });
  test.each([
    ["llama", "model.layers.0.self_attn.o_proj.weight", layer(0)],
    ["llama", "model.layers.1.mlp.down_proj.weight", layer(1)],
    ["qwen3-next", "model.layers.2.linear_attn.out_proj.weight", layer(2)],
    ["deepseek-v3", "model.layers.1.mlp.shared_experts.down_proj.weight", layer(1)],
    ["llama", "model.layers.2.mlp.down_proj.weight", { where: "last layer or head", layer: 2 }],
    ["llama", "lm_head.weight", { where: "last layer or head", layer: 2 }],
    ["llama", "model.embed_tokens.weight", { where: "embedding", layer: null }],
  ])("of %s in %s is found there", async (name, tensor, place) => {
    const report = await check(name, () => damaged(name, tensor));
    expect(report).toMatchObject({ ok: false, fault: place });
    expect(report.maxAbsError).toBeGreaterThan(TOLERANCE);
  });

  test("leaves the layers behind it right: each starts from what is stored", async () => {
    const report = await check("qwen3-moe-mixed", () =>
      damaged(
        "qwen3-moe-mixed",
        "model.layers.1.self_attn.o_proj.weight",
        "model.layers.3.mlp.down_proj.weight",
      ));
    expect(report.fault).toMatchObject({ ...layer(1), input: 0, position: 0 });
    expect(report.hiddenErrors?.map((error) => error! > TOLERANCE))
      .toEqual([false, false, true, false, true, false]);
    expect(report.maxHiddenError).toBe(
      Math.max(report.hiddenErrors![2]!, report.hiddenErrors![4]!),
    );
  });
});

test("the input and the first position that differ are named", async () => {
  const report = await check("qwen3", async () => {
    const { source, inputs } = await golden("qwen3");
    const [short, long] = inputs as [GoldenCase["inputs"][0], GoldenCase["inputs"][0]];
    const states = long.hidden.get(2)!.slice();
    for (const position of [31, 17]) states[position * 64 + 5]! += 1;
    const hidden = new Map(long.hidden).set(2, states);
    return { source, inputs: [short, { ...long, hidden }] };
  });
  expect(report.fault).toEqual({ where: "layer", layer: 1, input: 1, position: 17 });
});

describe("hidden states", () => {
  test("have no part in the verdict", async () => {
    const { source, inputs } = await golden("llama");
    const other = inputs.map((input) => ({
      ...input,
      hidden: new Map([...input.hidden].map(([layer, values]) => [layer, values.map((x) => -x)])),
    }));
    const report = await check("llama", () => Promise.resolve({ source, inputs: other }));
    expect(report).toMatchObject({
      ...{ ok: true, greedyMatch: true },
      fault: { where: "embedding", layer: null, input: 0, position: 0 },
    });
    expect(report.maxHiddenError).toBeGreaterThan(1);
  });

  test("that are not stored are not compared", async () => {
    const { source, inputs } = await golden("llama");
    const bare = inputs.map((input) => ({ ...input, hidden: new Map() }));
    expect(await check("llama", () => Promise.resolve({ source, inputs: bare }))).toMatchObject({
      ...{ ok: true, maxHiddenError: null, hiddenErrors: null, fault: null },
    });
  });

  test("of some layers only leave the others to run on their own", async () => {
    const report = await check("qwen3-moe-mixed", async () => {
      const { source, inputs } = await damaged(
        "qwen3-moe-mixed",
        "model.layers.1.self_attn.o_proj.weight",
      );
      const some = inputs.map((input) => ({
        ...input,
        hidden: new Map([...input.hidden].filter(([layer]) => layer === 1 || layer > 3)),
      }));
      return { source, inputs: some };
    });
    expect(report.hiddenErrors?.map((error) => error === null))
      .toEqual([true, false, true, true, false, false]);
    expect(report.fault).toMatchObject({ where: "layer", layer: 3 });
  });

  test("after the final norm are passed over", async () => {
    const { source, inputs } = await golden("llama");
    const more = inputs.map((input) => ({
      ...input,
      hidden: new Map(input.hidden).set(3, new Float32Array(7)),
    }));
    const report = await check("llama", () => Promise.resolve({ source, inputs: more }));
    expect(report).toMatchObject({ ok: true, fault: null });
    expect(report.hiddenErrors).toHaveLength(3);
  });

  test("of another size are an error that names them", async () => {
    const { source, inputs } = await golden("llama");
    const [first, ...rest] = inputs;
    const hidden = new Map(first!.hidden).set(1, new Float32Array(64));
    const open = () => Promise.resolve({ source, inputs: [{ ...first!, hidden }, ...rest] });
    expect((await check("llama", open)).error)
      .toBe('"hidden.0.1" has 64 elements, expected 7 tokens x 64');
  });
});

describe("hiddenError()", () => {
  const of = (found: number[], expected: number[], eps = 0) =>
    hiddenError(Float32Array.from(found), Float32Array.from(expected), eps);

  test("is a share of the token's size, whatever that is", () => {
    expect(of([3, 4.5, 3, 4], [3, 4, 3, 4])).toBeCloseTo(0.5 / Math.sqrt(12.5));
    expect(of([3000, 4500, 3000, 4000], [3000, 4000, 3000, 4000]))
      .toBeCloseTo(0.5 / Math.sqrt(12.5));
  });

  test("is bounded by eps for a token of zeros", () => {
    expect(of([0, 0], [0, 0])).toBe(0);
    expect(of([0, 1e-3], [0, 0], 1e-6)).toBeCloseTo(1);
    expect(of([0, 1e-3], [0, 0])).toBe(Infinity);
  });

  test("is NaN for what is not a number", () => {
    expect(of([NaN, 1], [1, 1])).toBeNaN();
    expect(of([1, NaN], [1, 1])).toBeNaN();
  });
});
