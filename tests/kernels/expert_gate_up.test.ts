import { describe, expect, test } from "vitest";
import type { ExpertActivation, WeightFormat } from "../../src/core.ts";
import { expertGateUp } from "../../src/kernels/expert_gate_up.ts";
import type { Tuning } from "../../src/kernels/tuning.ts";
import { CLAMPED, CLAMPED_HALVES, experts, expertWeight, randomExperts } from "./expert_case.ts";
import { expertGateUpReference } from "./expert_reference.ts";
import { bitsOf, expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";
import { matvecVariants } from "./variants.ts";

const gpu = await openTestGpu();
const variants = matvecVariants(gpu.context.capabilities);

interface Case {
  readonly format: WeightFormat;
  readonly numCols: number;
  readonly numTokens: number;
  readonly expertSize?: number;
  readonly expertsPerPart?: number;
  readonly activation?: ExpertActivation;
  readonly hasBias?: boolean;
  readonly tuning?: Partial<Tuning>;
}

/** Runs a random case and holds it to the reference. */
async function expectExperts(one: Case): Promise<void> {
  const { numCols, numTokens, activation = { type: "silu" } } = one;
  const moe = experts({ activation, expertSize: one.expertSize ?? 20 });
  const random = new Random(numCols + numTokens);
  const numRows = 2 * moe.expertSize;
  const { weight, values } = await expertWeight(gpu, random, { ...one, moe, numRows });
  const chosen = randomExperts(random, moe, numTokens);
  const x = random.floats(numTokens * numCols);
  const bias = one.hasBias ? random.floats(weight.numRows) : null;
  const y = await gpu.output(chosen.length * moe.expertSize);
  await gpu.run(expertGateUp(await gpu.kernels({ numTokens }, one.tuning), {
    moe,
    weight,
    bias: bias && await gpu.upload(bias),
    x: await gpu.upload(x),
    experts: await gpu.upload(chosen),
    y,
    numTokens,
  }));
  const inputs = { moe, numCols, weight: values, bias, experts: chosen };
  expectWithin(await gpu.read(y), expertGateUpReference(inputs, x), JSON.stringify(one));
}

describe.each(variants)("expert_gate_up with $name", ({ tuning }) => {
  test.each(["bf16", "q4_1", "q6_k"] as const)("multiplies %s", async (format) => {
    const numCols = format.endsWith("_k") ? 256 : 96;
    await expectExperts({ tuning, format, numCols, numTokens: 3 });
  });
});

test("expert_gate_up takes columns that are no multiple of 8, and sizes around a workgroup", async () => {
  for (const [numCols, expertSize] of [[1, 1], [20, 64], [101, 65]] as const) {
    await expectExperts({ format: "bf16", numCols, expertSize, numTokens: 2 });
  }
});

test("expert_gate_up finds experts in the parts of a weight", async () => {
  for (const expertsPerPart of [1, 4]) {
    await expectExperts({ format: "q8_0", numCols: 32, numTokens: 5, expertsPerPart });
  }
});

test("expert_gate_up adds biases, clamps and reads gate and up in turn", async () => {
  const one = { format: "bf16", numCols: 40, numTokens: 4, hasBias: true } as const;
  await expectExperts(one);
  await expectExperts({ ...one, activation: CLAMPED, expertsPerPart: 2 });
  await expectExperts({ ...one, activation: CLAMPED_HALVES });
});

test("expert_gate_up gives a token the same bits alone and in a batch of 11,000", async () => {
  const moe = experts({ numExpertsPerToken: 6, expertSize: 1 });
  const random = new Random(3);
  const { weight } = await expertWeight(gpu, random, {
    ...{ moe, numRows: 2, numCols: 12, format: "f32" },
  });
  const x = random.floats(11_000 * 12);
  const chosen = randomExperts(random, moe, 11_000);
  const run = async (start: number, numTokens: number) => {
    const y = await gpu.output(numTokens * 6);
    await gpu.run(expertGateUp(await gpu.kernels({ numTokens }), {
      ...{ moe, weight, bias: null, y, numTokens },
      x: await gpu.upload(x.slice(start * 12, (start + numTokens) * 12)),
      experts: await gpu.upload(chosen.slice(start * 6, (start + numTokens) * 6)),
    }));
    return bitsOf(await gpu.read(y));
  };
  const all = await run(0, 11_000);
  for (const token of [0, 7, 10_999]) {
    expect(await run(token, 1)).toEqual(all.slice(token * 6, token * 6 + 6));
  }
});
