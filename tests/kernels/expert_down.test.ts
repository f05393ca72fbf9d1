import { describe, expect, test } from "vitest";
import type { WeightFormat } from "../../src/core.ts";
import { expertDown } from "../../src/kernels/expert_down.ts";
import type { Tuning } from "../../src/kernels/tuning.ts";
import { experts, expertWeight, randomExperts } from "./expert_case.ts";
import { expertDownReference } from "./expert_reference.ts";
import { bitsOf, expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";
import { matvecVariants } from "./variants.ts";

const gpu = await openTestGpu();
const variants = matvecVariants(gpu.context.capabilities);

interface Case {
  readonly format: WeightFormat;
  /** Of y: columns of the hidden states. */
  readonly numRows: number;
  readonly expertSize: number;
  readonly numTokens: number;
  readonly expertsPerPart?: number;
  readonly hasBias?: boolean;
  readonly tuning?: Partial<Tuning>;
}

/** Random operands, and a run on the tokens [start, start + count). */
async function prepare(one: Case) {
  const { numTokens, numRows, expertSize } = one;
  const moe = experts({ expertSize });
  const { numExpertsPerToken: perToken } = moe;
  const random = new Random(numRows + numTokens);
  const { weight, values } = await expertWeight(gpu, random, { ...one, moe, numCols: expertSize });
  const chosen = randomExperts(random, moe, numTokens);
  const x = random.floats(chosen.length * expertSize);
  const weights = random.floats(chosen.length);
  const residual = random.floats(numTokens * numRows);
  const bias = one.hasBias ? random.floats(weight.numRows) : null;
  const run = async (start = 0, count = numTokens) => {
    const pairs = [start * perToken, (start + count) * perToken] as const;
    const y = await gpu.output(residual.slice(start * numRows, (start + count) * numRows));
    await gpu.run(expertDown(await gpu.kernels({ numTokens: count }, one.tuning), {
      ...{ moe, weight, y, numTokens: count },
      bias: bias && await gpu.upload(bias),
      x: await gpu.upload(x.slice(pairs[0] * expertSize, pairs[1] * expertSize)),
      experts: await gpu.upload(chosen.slice(...pairs)),
      weights: await gpu.upload(weights.slice(...pairs)),
    }));
    return await gpu.read(y);
  };
  const inputs = { moe, numCols: expertSize, weight: values, bias, experts: chosen };
  return { run, expected: expertDownReference(inputs, { x, weights, residual }) };
}

async function expectExperts(one: Case): Promise<void> {
  const { run, expected } = await prepare(one);
  expectWithin(await run(), expected, JSON.stringify(one));
}

describe.each(variants)("expert_down with $name", ({ tuning }) => {
  test.each(["bf16", "q4_1", "q6_k"] as const)("multiplies %s", async (format) => {
    const expertSize = format.endsWith("_k") ? 256 : 96;
    await expectExperts({ tuning, format, numRows: 37, expertSize, numTokens: 3 });
  });
});

test("expert_down takes columns that are no multiple of 8, and rows around a workgroup", async () => {
  for (const [expertSize, numRows] of [[1, 1], [20, 64], [101, 65]] as const) {
    await expectExperts({ format: "bf16", expertSize, numRows, numTokens: 2 });
  }
});

test("expert_down adds up the parts of a weight, and biases", async () => {
  const one = { format: "q8_0", expertSize: 32, numRows: 10, numTokens: 5 } as const;
  for (const expertsPerPart of [1, 4]) await expectExperts({ ...one, expertsPerPart });
  await expectExperts({ ...one, hasBias: true, expertsPerPart: 2 });
});

test("expert_down gives a token the same bits alone and in a batch", async () => {
  const one = { format: "q4_0", expertSize: 64, numRows: 19, numTokens: 33 } as const;
  for (const { tuning } of variants) {
    const { run } = await prepare({ ...one, tuning });
    const all = bitsOf(await run());
    for (const token of [0, 13, 32]) {
      expect(bitsOf(await run(token, 1))).toEqual(all.slice(token * 19, (token + 1) * 19));
    }
  }
});
