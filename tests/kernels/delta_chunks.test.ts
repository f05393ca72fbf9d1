import { describe, expect, test } from "vitest";
import { deltaChunks } from "../../src/kernels/delta_chunks.ts";
import { deltaRule } from "../../src/kernels/delta_rule.ts";
import { CHUNK_ROWS, deltaSolve, solutionColumns } from "../../src/kernels/delta_solve.ts";
import { convColumns, stateColumns, valueColumns } from "../../src/kernels/linear_shape.ts";
import { bitsOf, expectWithin } from "./expect_within.ts";
import { openTestGpu, POISON } from "./gpu.ts";
import {
  CHUNKED_SHAPES,
  chunkTable,
  GATES,
  LONG_SLICES,
  type SliceSpec,
  sliceTables,
  statesOf,
} from "./linear_case.ts";
import { deltaInputsReference, deltaRuleReference } from "./linear_reference.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();

describe.each(CHUNKED_SHAPES)(
  "delta_chunks of $numKeyHeads over $numValueHeads heads of $keyDim x $valueDim",
  (shape) => {
    const numCols = stateColumns(shape).delta;
    const random = new Random(shape.valueDim + shape.keyDim);

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

    /** Both forms, each for its slices. */
    async function run(
      specs: readonly SliceSpec[],
      inputs: Record<"mixed" | "gates" | "states", Float32Array<ArrayBuffer>>,
      { isOnlyChunked = false } = {},
    ) {
      const { numTokens, slices } = await sliceTables(gpu, specs);
      const { chunks, numChunks } = await chunkTable(gpu, specs);
      const kernels = await gpu.kernels({ numTokens });
      const mixed = await gpu.upload(inputs.mixed);
      const gates = await gpu.upload(inputs.gates);
      const solutions = await gpu.output(numTokens * solutionColumns(shape));
      const out = await gpu.output(numTokens * valueColumns(shape));
      const states = await gpu.output(inputs.states);
      const call = { shape, slices, mixed, states, out, numSlices: specs.length };
      await gpu.run(
        deltaSolve(kernels, { shape, chunks, mixed, gates, solutions, numChunks }),
        deltaChunks(kernels, { ...call, solutions }),
        ...isOnlyChunked ? [] : [deltaRule(kernels, { ...call, gates, isOnlyShort: true })],
      );
      return { out: await gpu.read(out), states: await gpu.read(states) };
    }

    async function expectRecurrence(
      inputs: Record<"mixed" | "gates", Float32Array<ArrayBuffer>>,
    ) {
      const numTokens = inputs.mixed.length / convColumns(shape);
      const { states, slices } = statesOf(random, { specs: LONG_SLICES, numCols });
      const actual = await run(LONG_SLICES, { ...inputs, states });
      const expected = deltaRuleReference(shape, { ...inputs, numTokens, slices });
      expectWithin(actual.out, expected.out);
      const values = Float64Array.from(states);
      const bounds = new Float64Array(states.length);
      LONG_SLICES.forEach(({ slot }, i) => {
        values.set(expected.states[i]!.values, slot * numCols);
        bounds.set(expected.states[i]!.bounds, slot * numCols);
      });
      expectWithin(actual.states, { values, bounds });
    }

    const totalTokens = LONG_SLICES.reduce((total, slice) => total + slice.numTokens, 0);

    test("is the recurrence, for slices of any length and beside short ones", async () => {
      await expectRecurrence(inputsOf(totalTokens));
    });

    test.each(Object.entries(GATES))("is the recurrence with gates %s", async (_, gateOf) => {
      const inputs = inputsOf(totalTokens);
      for (let at = 0; at < inputs.gates.length; at += 4) {
        inputs.gates.set(gateOf(Math.floor(at / 4 / shape.numValueHeads)), at);
      }
      await expectRecurrence(inputs);
    });

    test("is the recurrence where all keys are the same", async () => {
      const inputs = inputsOf(totalTokens);
      const first = inputs.mixed.slice(0, 2 * shape.numKeyHeads * shape.keyDim);
      for (let t = 0; t < totalTokens; t++) inputs.mixed.set(first, t * convColumns(shape));
      for (let at = 0; at < inputs.gates.length; at += 4) {
        // The product with the query is the first token's.
        inputs.gates.set([1, 1, inputs.gates[at % (4 * shape.numValueHeads) + 2]!], at);
      }
      await expectRecurrence(inputs);
    });

    test("leaves short slices and their states alone", async () => {
      const inputs = inputsOf(totalTokens);
      const { states } = statesOf(random, { specs: LONG_SLICES, numCols });
      const actual = await run(LONG_SLICES, { ...inputs, states }, { isOnlyChunked: true });
      const bits = new Uint32Array(actual.out.buffer);
      let row = 0;
      for (const { numTokens, slot } of LONG_SLICES) {
        const rows = bits.subarray(
          row * valueColumns(shape),
          (row + numTokens) * valueColumns(shape),
        );
        const state = [slot * numCols, (slot + 1) * numCols] as const;
        const isShort = numTokens < CHUNK_ROWS;
        expect(rows.every((word) => word === POISON)).toBe(isShort);
        expect(rows.some((word) => word === POISON)).toBe(isShort);
        const isKept = bitsOf(states.slice(...state)).every((word, i) =>
          word === bitsOf(actual.states.slice(...state))[i]
        );
        expect(isKept).toBe(isShort);
        row += numTokens;
      }
    });
  },
);
