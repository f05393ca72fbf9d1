import { expect, test } from "vitest";
import type { ExpertActivation, WeightFormat } from "../../src/core.ts";
import { expertMatmul } from "../../src/kernels/expert_matmul.ts";
import { mostTiles, sortExperts } from "../../src/kernels/sort_experts.ts";
import { CLAMPED, experts, expertWeight, randomExperts } from "./expert_case.ts";
import { expertDownReference, expertGateUpReference } from "./expert_reference.ts";
import { expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();

interface Case {
  readonly kind: "gate-up" | "down";
  readonly format: WeightFormat;
  /** Columns and, for "down", rows of an expert's matrix. */
  readonly numCols: number;
  readonly numRows?: number;
  readonly expertSize?: number;
  readonly numTokens: number;
  readonly expertsPerPart?: number;
  readonly activation?: ExpertActivation;
  readonly hasBias?: boolean;
}

/** Runs a random case and holds it to the reference. */
async function expectExperts(one: Case): Promise<void> {
  const { kind, numCols, numTokens, activation = { type: "silu" }, expertSize = 40 } = one;
  const moe = experts({ activation, expertSize });
  const random = new Random(numCols + numTokens);
  const numRows = kind === "gate-up" ? 2 * expertSize : one.numRows ?? 70;
  const numOutputs = kind === "gate-up" ? expertSize : numRows;
  const { weight, values } = await expertWeight(gpu, random, { ...one, moe, numRows });
  const chosen = randomExperts(random, moe, numTokens);
  const x = random.floats((kind === "gate-up" ? numTokens : chosen.length) * numCols);
  const bias = one.hasBias ? random.floats(weight.numRows) : null;
  const y = await gpu.output(chosen.length * numOutputs);
  const sorted = {
    pairs: await gpu.output(chosen.length),
    tiles: await gpu.output(4 * mostTiles(moe, numTokens)),
  };
  const kernels = await gpu.kernels({ numTokens });
  await gpu.run(
    sortExperts(kernels, { moe, experts: await gpu.upload(chosen), ...sorted }),
    expertMatmul(kernels, {
      ...{ kind, moe, weight, y, numTokens, ...sorted },
      bias: bias && await gpu.upload(bias),
      x: await gpu.upload(x),
    }),
  );
  const inputs = { numCols, weight: values, bias, experts: chosen };
  const expected = kind === "gate-up"
    ? expertGateUpReference({ ...inputs, moe }, x)
    // Every pair as if it were a token of its own.
    : expertDownReference({ ...inputs, moe: { ...moe, numExpertsPerToken: 1 } }, {
      x,
      weights: new Float32Array(chosen.length).fill(1),
      residual: new Float32Array(y.size / 4).subarray(0, chosen.length * numOutputs),
    });
  expectWithin(await gpu.read(y), expected, JSON.stringify(one));
}

test.each(["bf16", "q4_1", "q6_k"] as const)("expert_matmul multiplies %s", async (format) => {
  const numCols = format.endsWith("_k") ? 256 : 96;
  for (const kind of ["gate-up", "down"] as const) {
    await expectExperts({ kind, format, numCols, numTokens: 17 });
  }
});

test("expert_matmul takes columns that are no multiple of 8 and sizes around a tile", async () => {
  for (const [numCols, expertSize] of [[20, 32], [13, 33]] as const) {
    await expectExperts({ kind: "gate-up", format: "bf16", numCols, expertSize, numTokens: 70 });
    await expectExperts({ kind: "down", format: "bf16", numCols, numRows: 65, numTokens: 1 });
  }
});

test("expert_matmul finds experts in the parts of a weight", async () => {
  for (const kind of ["gate-up", "down"] as const) {
    await expectExperts({ kind, format: "q8_0", numCols: 32, numTokens: 20, expertsPerPart: 4 });
  }
});

test("expert_matmul adds biases, clamps and reads gate and up in turn", async () => {
  const one = { format: "bf16", numCols: 40, numTokens: 40, hasBias: true } as const;
  await expectExperts({ ...one, kind: "gate-up", activation: CLAMPED, expertsPerPart: 2 });
  await expectExperts({ ...one, kind: "down", expertsPerPart: 2 });
  expect.hasAssertions();
});
