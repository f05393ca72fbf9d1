import { test } from "vitest";
import { gateHeads } from "../../src/kernels/gate_heads.ts";
import { expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { gateHeadsReference } from "./linear_reference.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();

test.each([[1, 4, 8, 1], [4, 32, 300, 3], [3, 20, 130, 7]])(
  "gate_heads gates %i heads of %i",
  async (numHeads, headDim, stride, numTokens) => {
    const random = new Random(headDim);
    const x = random.floats(numTokens * stride, 40);
    const y = random.floats(numTokens * numHeads * headDim);
    const out = await gpu.output(y);
    const call = { stride, numHeads, headDim };
    await gpu.run(gateHeads(await gpu.kernels({ numTokens }), {
      ...{ ...call, y: out, numTokens },
      x: await gpu.upload(x),
    }));
    expectWithin(await gpu.read(out), gateHeadsReference(y, { ...call, x }));
  },
);
