import { describe, expect, test } from "vitest";
import { causalConv } from "../../src/kernels/causal_conv.ts";
import { convColumns, projectedColumns, stateColumns } from "../../src/kernels/linear_shape.ts";
import { bitsOf, expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import {
  LINEAR_SHAPES,
  NUM_SLOTS,
  SLICES,
  type SliceSpec,
  sliceTables,
  statesOf,
} from "./linear_case.ts";
import { causalConvReference } from "./linear_reference.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();

describe.each(LINEAR_SHAPES)(
  "causal_conv with a kernel of $convKernel, keys of $keyDim",
  (shape) => {
    const numCols = stateColumns(shape).conv;
    const random = new Random(shape.keyDim);
    const weight = random.floats(convColumns(shape) * shape.convKernel);

    async function convolve(
      specs: readonly SliceSpec[],
      inputs: { projected: Float32Array<ArrayBuffer>; states: Float32Array<ArrayBuffer> },
    ) {
      const { numTokens, tokenRows, slices } = await sliceTables(gpu, specs);
      const mixed = await gpu.output(numTokens * convColumns(shape));
      const states = await gpu.output(inputs.states);
      await gpu.run(causalConv(await gpu.kernels({ numTokens }), {
        ...{ shape, tokenRows, slices, states, mixed, numTokens },
        projected: await gpu.upload(inputs.projected),
        weight: await gpu.upload(weight),
      }));
      return { mixed: await gpu.read(mixed), states: await gpu.read(states) };
    }

    test("sees the inputs before each token, across slices, and keeps the last ones", async () => {
      const numTokens = SLICES.reduce((total, slice) => total + slice.numTokens, 0);
      const projected = random.floats(numTokens * projectedColumns(shape), 3);
      const { states, slices } = statesOf(random, { specs: SLICES, numCols });
      const actual = await convolve(SLICES, { projected, states });
      const expected = causalConvReference(shape, { projected, numTokens, weight, slices });
      expectWithin(actual.mixed, expected.out);
      SLICES.forEach(({ slot }, i) => states.set(expected.states[i]!, slot * numCols));
      expect(bitsOf(actual.states)).toEqual(bitsOf(states));
    });

    test("gives the same bits for any cut of the prompt, and beside other sequences", async () => {
      const projected = random.floats(13 * projectedColumns(shape), 3);
      const whole = await convolve([{ numTokens: 13, startPosition: 0, slot: 3 }], {
        projected,
        states: random.floats(NUM_SLOTS * numCols),
      });
      for (const chunk of [1, 2, 5]) {
        let states = random.floats(NUM_SLOTS * numCols);
        for (let start = 0; start < 13; start += chunk) {
          const numTokens = Math.min(chunk, 13 - start);
          const rows = projected.slice(
            start * projectedColumns(shape),
            (start + numTokens) * projectedColumns(shape),
          );
          const other = random.floats(rows.length);
          const both = Float32Array.from([...other, ...rows]);
          const specs = [5, 3].map((slot) => ({ numTokens, startPosition: start, slot }));
          const part = await convolve(specs, { projected: both, states });
          ({ states } = part);
          const width = convColumns(shape);
          expect(bitsOf(part.mixed.slice(numTokens * width)))
            .toEqual(bitsOf(whole.mixed.slice(start * width, (start + numTokens) * width)));
        }
        const kept = [3 * numCols, 4 * numCols] as const;
        expect(bitsOf(states.slice(...kept))).toEqual(bitsOf(whole.states.slice(...kept)));
      }
    });
  },
);
