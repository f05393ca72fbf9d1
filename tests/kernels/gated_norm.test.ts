import { describe, test } from "vitest";
import { gatedNorm } from "../../src/kernels/gated_norm.ts";
import { projectedColumns, valueColumns } from "../../src/kernels/linear_shape.ts";
import { expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { LINEAR_SHAPES } from "./linear_case.ts";
import { gatedNormReference } from "./linear_reference.ts";
import { Random } from "./random.ts";
import { sumVariants } from "./variants.ts";

const gpu = await openTestGpu();

describe.each(sumVariants(gpu.context.capabilities))("gated_norm with $name", ({ tuning }) => {
  test.each(LINEAR_SHAPES)("gates $numValueHeads heads of $valueDim", async (shape) => {
    const numTokens = 5;
    const random = new Random(shape.valueDim);
    const x = random.floats(numTokens * valueColumns(shape), 2);
    const projected = random.floats(numTokens * projectedColumns(shape), 30);
    const weight = random.floats(shape.valueDim, 2);
    const y = await gpu.output(x);
    await gpu.run(gatedNorm(await gpu.kernels({ numTokens }, tuning), {
      ...{ shape, numTokens, eps: 1e-6, x: y },
      weight: await gpu.upload(weight),
      projected: await gpu.upload(projected),
    }));
    const call = { x, projected, weight, eps: 1e-6, numTokens };
    expectWithin(await gpu.read(y), gatedNormReference(shape, call));
  });
});
