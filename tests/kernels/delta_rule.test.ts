import { describe, expect, test } from "vitest";
import { deltaRule } from "../../src/kernels/delta_rule.ts";
import { convColumns, stateColumns, valueColumns } from "../../src/kernels/linear_shape.ts";
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
import { deltaInputsReference, deltaRuleReference } from "./linear_reference.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();

describe.each(LINEAR_SHAPES)(
  "delta_rule of $numValueHeads heads of $keyDim x $valueDim",
  (shape) => {
    const numCols = stateColumns(shape).delta;
    const random = new Random(shape.valueDim);

    /** Unit queries and keys, and gates, as delta_inputs makes them. */
    function inputsOf(numTokens: number) {
      const { mixed, gates } = deltaInputsReference(shape, {
        mixed: random.floats(numTokens * convColumns(shape), 2),
        rates: random.floats(numTokens * 2 * shape.numValueHeads, 3),
        aLog: random.floats(shape.numValueHeads, 2),
        dtBias: random.floats(shape.numValueHeads),
        numTokens,
      });
      return { mixed: Float32Array.from(mixed.values), gates: Float32Array.from(gates.values) };
    }

    async function run(
      specs: readonly SliceSpec[],
      inputs: Record<"mixed" | "gates" | "states", Float32Array<ArrayBuffer>>,
    ) {
      const { numTokens, slices } = await sliceTables(gpu, specs);
      const out = await gpu.output(numTokens * valueColumns(shape));
      const states = await gpu.output(inputs.states);
      await gpu.run(deltaRule(await gpu.kernels({ numTokens }), {
        ...{ shape, slices, states, out },
        mixed: await gpu.upload(inputs.mixed),
        gates: await gpu.upload(inputs.gates),
        numSlices: specs.length,
      }));
      return { out: await gpu.read(out), states: await gpu.read(states) };
    }

    test("carries each sequence's state over its tokens, and touches no other", async () => {
      const numTokens = SLICES.reduce((total, slice) => total + slice.numTokens, 0);
      const inputs = inputsOf(numTokens);
      const { states, slices } = statesOf(random, { specs: SLICES, numCols });
      const actual = await run(SLICES, { ...inputs, states });
      const expected = deltaRuleReference(shape, { ...inputs, numTokens, slices });
      expectWithin(actual.out, expected.out);
      const values = Float64Array.from(states);
      const bounds = new Float64Array(states.length);
      SLICES.forEach(({ slot }, i) => {
        values.set(expected.states[i]!.values, slot * numCols);
        bounds.set(expected.states[i]!.bounds, slot * numCols);
      });
      expectWithin(actual.states, { values, bounds });
    });

    test("gives the same bits for any cut of the prompt, and beside other sequences", async () => {
      const whole = inputsOf(11);
      const rows = (values: Float32Array<ArrayBuffer>, start: number, end: number) =>
        values.slice(start * values.length / 11, end * values.length / 11);
      const expected = await run([{ numTokens: 11, startPosition: 0, slot: 3 }], {
        ...whole,
        states: random.floats(NUM_SLOTS * numCols),
      });
      for (const chunk of [1, 4]) {
        let states = random.floats(NUM_SLOTS * numCols);
        for (let start = 0; start < 11; start += chunk) {
          const end = Math.min(11, start + chunk);
          const other = inputsOf(2);
          const part = await run([
            { numTokens: 2, startPosition: 4, slot: 0 },
            { numTokens: end - start, startPosition: start, slot: 3 },
          ], {
            mixed: Float32Array.from([...other.mixed, ...rows(whole.mixed, start, end)]),
            gates: Float32Array.from([...other.gates, ...rows(whole.gates, start, end)]),
            states,
          });
          ({ states } = part);
          expect(bitsOf(part.out.slice(2 * valueColumns(shape))))
            .toEqual(bitsOf(rows(expected.out, start, end)));
        }
        const kept = [3 * numCols, 4 * numCols] as const;
        expect(bitsOf(states.slice(...kept))).toEqual(bitsOf(expected.states.slice(...kept)));
      }
    });
  },
);
