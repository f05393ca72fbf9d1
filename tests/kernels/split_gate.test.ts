import { expect, test } from "vitest";
import { splitGate } from "../../src/kernels/split_gate.ts";
import { bitsOf } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { splitGateReference } from "./linear_reference.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();

test.each([[1, 4, 8, 1], [4, 32, 128, 3], [3, 20, 40, 7]])(
  "split_gate leaves out the gates of %i heads of %i",
  async (numHeads, headDim, numOthers, numTokens) => {
    const numCols = numHeads * headDim + numOthers;
    const x = new Random(headDim).floats(numTokens * (numCols + numHeads * headDim));
    const y = await gpu.output(numTokens * numCols);
    const call = { numHeads, headDim, numOthers };
    await gpu.run(splitGate(await gpu.kernels({ numTokens }), {
      ...{ ...call, y, numTokens },
      x: await gpu.upload(x),
    }));
    expect(bitsOf(await gpu.read(y))).toEqual(bitsOf(splitGateReference(x, call)));
  },
);
