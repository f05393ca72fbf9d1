import { test } from "vitest";
import { combineExperts } from "../../src/kernels/combine_experts.ts";
import { combineExpertsReference } from "./expert_reference.ts";
import { expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();

test.each([[1, 1, 1], [65, 3, 7], [300, 8, 17]])(
  "combine_experts adds rows of %i, %i for each of %i tokens",
  async (numCols, perToken, numTokens) => {
    const random = new Random(numCols);
    const x = random.floats(numTokens * perToken * numCols);
    const weights = random.floats(numTokens * perToken);
    const residual = random.floats(numTokens * numCols);
    const y = await gpu.output(residual);
    await gpu.run(combineExperts(await gpu.kernels({ numTokens }), {
      ...{ y, perToken, numCols, numTokens },
      x: await gpu.upload(x),
      weights: await gpu.upload(weights),
    }));
    expectWithin(await gpu.read(y), combineExpertsReference(residual, { x, weights, perToken }));
  },
);
