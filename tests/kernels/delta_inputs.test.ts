import { describe, expect, test } from "vitest";
import { deltaInputs } from "../../src/kernels/delta_inputs.ts";
import { convColumns } from "../../src/kernels/linear_shape.ts";
import { bitsOf, expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { LINEAR_SHAPES } from "./linear_case.ts";
import { deltaInputsReference } from "./linear_reference.ts";
import { Random } from "./random.ts";
import { sumVariants } from "./variants.ts";

const gpu = await openTestGpu();
const variants = sumVariants(gpu.context.capabilities);

describe.each(variants)("delta_inputs with $name", ({ tuning }) => {
  async function prepare(
    shape: (typeof LINEAR_SHAPES)[number],
    inputs: Record<"mixed" | "rates" | "aLog" | "dtBias", Float32Array<ArrayBuffer>>,
  ) {
    const numTokens = inputs.mixed.length / convColumns(shape);
    const mixed = await gpu.output(inputs.mixed);
    const gates = await gpu.output(4 * numTokens * shape.numValueHeads);
    await gpu.run(deltaInputs(await gpu.kernels({ numTokens }, tuning), {
      ...{ shape, mixed, gates, numTokens },
      rates: await gpu.upload(inputs.rates),
      aLog: await gpu.upload(inputs.aLog),
      dtBias: await gpu.upload(inputs.dtBias),
    }));
    return { mixed: await gpu.read(mixed), gates: await gpu.read(gates) };
  }

  test.each(LINEAR_SHAPES)("makes unit keys of $keyDim and the gates", async (shape) => {
    const random = new Random(shape.keyDim);
    const numTokens = 5;
    const inputs = {
      mixed: random.floats(numTokens * convColumns(shape), 3),
      rates: random.floats(numTokens * 2 * shape.numValueHeads, 12),
      aLog: random.floats(shape.numValueHeads, 2.8),
      dtBias: random.floats(shape.numValueHeads),
    };
    // A head of nothing but zeros has no direction.
    inputs.mixed.fill(0, 0, shape.keyDim);
    const expected = deltaInputsReference(shape, { ...inputs, numTokens });
    const actual = await prepare(shape, inputs);
    expectWithin(actual.mixed, expected.mixed);
    expectWithin(actual.gates, expected.gates);
  });

  test("stays finite where exp overflows, and is exact where it vanishes", async () => {
    const shape = LINEAR_SHAPES[0]!;
    const steps = [-1e4, -100, -30, -9, -5.6, -5.4, 0, 5.5, 20, 21, 90, 1e4];
    const random = new Random(7);
    const inputs = {
      mixed: random.floats(steps.length * convColumns(shape)),
      rates: Float32Array.from(steps.flatMap((step) => [step, step])),
      aLog: Float32Array.of(0),
      dtBias: Float32Array.of(0),
    };
    const expected = deltaInputsReference(shape, { ...inputs, numTokens: steps.length });
    const { gates } = await prepare(shape, inputs);
    expectWithin(gates, { ...expected.gates, bounds: expected.gates.bounds.map((b) => b + 1e-37) });
  });

  test("gives a token the same bits alone and among others", async () => {
    const shape = LINEAR_SHAPES[2]!;
    const random = new Random(8);
    const mixed = random.floats(9 * convColumns(shape));
    const rates = random.floats(9 * 2 * shape.numValueHeads);
    const vectors = {
      aLog: random.floats(shape.numValueHeads),
      dtBias: random.floats(shape.numValueHeads),
    };
    const together = await prepare(shape, { mixed, rates, ...vectors });
    const row = (values: Float32Array<ArrayBuffer>) =>
      values.slice(4 * values.length / 9, 5 * values.length / 9);
    const alone = await prepare(shape, { mixed: row(mixed), rates: row(rates), ...vectors });
    expect(bitsOf(alone.mixed)).toEqual(bitsOf(row(together.mixed)));
    expect(bitsOf(alone.gates)).toEqual(bitsOf(row(together.gates)));
  });
});
