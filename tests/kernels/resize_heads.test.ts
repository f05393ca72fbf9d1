import { expect, test } from "vitest";
import { resizeHeads } from "../../src/kernels/resize_heads.ts";
import { resizeHeadsReference } from "../reference.ts";
import { bitsOf } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();

test.each([[3, 18, 20, 7], [1, 6, 8, 1], [70, 1, 4, 2], [5, 20, 18, 3]])(
  "resize_heads makes %i heads of %i elements heads of %i",
  async (numHeads, fromDim, toDim, numTokens) => {
    const x = new Random(fromDim).floats(numTokens * numHeads * fromDim);
    const y = await gpu.output(numTokens * numHeads * toDim);
    const call = { fromDim, toDim };
    await gpu.run(resizeHeads(await gpu.kernels({ numTokens }), {
      ...{ ...call, numHeads, y, numTokens },
      x: await gpu.upload(x),
    }));
    expect(bitsOf(await gpu.read(y))).toEqual(bitsOf(resizeHeadsReference(x, call)));
  },
);
