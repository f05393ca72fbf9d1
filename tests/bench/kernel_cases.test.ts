import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { KERNEL_CASES } from "../../bench/kernels/cases.ts";
import { shapeConfig } from "../../bench/shapes.ts";

const stemsIn = (folder: string, ending: string) =>
  readdirSync(new URL(folder, import.meta.url)).filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, -ending.length)).sort();

test("every shader has a bench and a row in the table", () => {
  const shaders = stemsIn("../../shaders/", ".wgsl");
  expect(stemsIn("../../bench/kernels/", ".bench.ts")).toEqual(shaders);
  expect(Object.keys(KERNEL_CASES).sort()).toEqual(shaders);
});

test("every case of every kernel costs something and has a name of its own", () => {
  const config = shapeConfig("smollm2-135m");
  const scale = {
    config,
    expertModels: [shapeConfig("qwen3-30b-a3b"), shapeConfig("gpt-oss-20b")],
    latentModel: shapeConfig("deepseek-v2-lite"),
    formats: ["q4_1", "q4_k", "f16"] as const,
    manyTokens: 64,
    lengths: [128],
    isF16Kv: false,
  };
  for (const [kernel, casesOf] of Object.entries(KERNEL_CASES)) {
    const cases = casesOf(scale);
    expect(cases.every((each) => each.kernel === kernel && each.cost.bytes > 0)).toBe(true);
    const names = cases.map(({ shape, format }) => `${shape} ${format}`);
    expect(new Set(names).size).toBe(names.length);
  }
});
