import { expect, test } from "vitest";
import type { MoeConfig } from "../../src/core.ts";
import { route } from "../../src/kernels/route.ts";
import { experts } from "./expert_case.ts";
import { routeReference } from "./expert_reference.ts";
import { expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();

async function routed(
  moe: MoeConfig,
  logits: Float32Array<ArrayBuffer>,
  correctionBias: Float32Array<ArrayBuffer> | null = null,
) {
  const numTokens = logits.length / moe.numExperts;
  const chosen = await gpu.output(numTokens * moe.numExpertsPerToken);
  const weights = await gpu.output(numTokens * moe.numExpertsPerToken);
  await gpu.run(route(await gpu.kernels({ numTokens }), {
    moe,
    logits: await gpu.upload(logits),
    correctionBias: correctionBias && await gpu.upload(correctionBias),
    experts: chosen,
    weights,
    numTokens,
  }));
  return { experts: await gpu.readWords(chosen), weights: await gpu.read(weights) };
}

const SETTINGS: readonly [string, Partial<MoeConfig>][] = [
  ["a softmax", {}],
  ["a normalised softmax", { isNormalised: true, scale: 2.5 }],
  ["a softmax of the chosen", { scoring: "softmax-of-chosen", numExperts: 32 }],
  ["sigmoids", { scoring: "sigmoid", isNormalised: true, normEpsilon: 1e-20 }],
  ["corrected sigmoids", { scoring: "sigmoid", hasCorrectionBias: true, numExperts: 70 }],
  ["one expert of many", { numExperts: 257, numExpertsPerToken: 1 }],
  ["all experts", { numExperts: 5, numExpertsPerToken: 5 }],
  ["the best groups", {
    numExperts: 60,
    numExpertsPerToken: 6,
    groups: { numGroups: 10, numChosen: 3, score: "max" },
    scale: 16,
  }],
  ["the groups of the best two", {
    scoring: "sigmoid",
    hasCorrectionBias: true,
    numExperts: 32,
    numExpertsPerToken: 4,
    isNormalised: true,
    groups: { numGroups: 8, numChosen: 2, score: "top2-sum" },
  }],
  ["groups of two", {
    scoring: "sigmoid",
    numExperts: 8,
    groups: { numGroups: 4, numChosen: 2, score: "top2-sum" },
  }],
];

test.each(SETTINGS)("route chooses by %s", async (_, chosen) => {
  const moe = experts(chosen);
  for (const numTokens of [1, 9]) {
    const random = new Random(moe.numExperts + numTokens);
    const logits = random.floats(numTokens * moe.numExperts, 4);
    const correction = moe.hasCorrectionBias ? random.floats(moe.numExperts, 2) : null;
    const actual = await routed(moe, logits, correction);
    const expected = routeReference(logits, moe, correction);
    expect([...actual.experts]).toEqual([...expected.experts]);
    expectWithin(actual.weights, expected.weights);
  }
});

test("route takes the lower of equal experts and groups first", async () => {
  const groups = { numGroups: 3, numChosen: 2, score: "top2-sum" } as const;
  for (const scoring of ["softmax", "sigmoid"] as const) {
    const flat = await routed(experts({ scoring }), new Float32Array(6).fill(0.5));
    expect([...flat.experts]).toEqual([0, 1, 2]);
    const grouped = await routed(
      experts({ scoring, groups }),
      Float32Array.of(1, 2, 2, 1, 1, 2),
    );
    expect([...grouped.experts]).toEqual([1, 2, 0]);
  }
});

test("route stays within the experts whatever the logits are", async () => {
  const logits = Float32Array.of(NaN, 1, 2, Infinity, -Infinity, 3);
  for (const scoring of ["softmax", "sigmoid", "softmax-of-chosen"] as const) {
    const { experts: chosen } = await routed(experts({ scoring }), logits);
    expect(chosen.every((expert) => expert < 6)).toBe(true);
  }
});
