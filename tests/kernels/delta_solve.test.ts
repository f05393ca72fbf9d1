import { describe, test } from "vitest";
import { CHUNK_ROWS, deltaSolve, solutionColumns } from "../../src/kernels/delta_solve.ts";
import { convColumns } from "../../src/kernels/linear_shape.ts";
import { expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { CHUNKED_SHAPES, chunkTable, GATES, LONG_SLICES } from "./linear_case.ts";
import { deltaInputsReference, deltaSolveReference } from "./linear_reference.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();
const RECORD = 2 * CHUNK_ROWS + 2;
/** Of up to a chunk of factors, each below 1. */
const DECAY_ERROR = CHUNK_ROWS * 2 ** -24;

describe.each(CHUNKED_SHAPES)("delta_solve of heads of $keyDim x $valueDim", (shape) => {
  const random = new Random(shape.keyDim);
  const kinds: Readonly<Record<string, (typeof GATES)[string] | null>> = {
    "as they come": null,
    ...GATES,
  };

  test.each(Object.entries(kinds))("solves each chunk, with gates %s", async (_, gateOf) => {
    const { chunks, numChunks, rows } = await chunkTable(gpu, LONG_SLICES);
    const numTokens = LONG_SLICES.reduce((total, slice) => total + slice.numTokens, 0);
    const inputs = deltaInputsReference(shape, {
      mixed: random.floats(numTokens * convColumns(shape), 2),
      rates: random.floats(numTokens * 2 * shape.numValueHeads, 3),
      aLog: random.floats(shape.numValueHeads, 2),
      dtBias: random.floats(shape.numValueHeads),
      numTokens,
    });
    const mixed = Float32Array.from(inputs.mixed.values);
    const gates = Float32Array.from(inputs.gates.values);
    for (let at = 0; gateOf !== null && at < gates.length; at += 4) {
      gates.set(gateOf(Math.floor(at / 4 / shape.numValueHeads)), at);
    }
    const solutions = await gpu.output(numTokens * solutionColumns(shape));
    await gpu.run(deltaSolve(await gpu.kernels({ numTokens }), {
      ...{ shape, chunks, solutions, numChunks },
      mixed: await gpu.upload(mixed),
      gates: await gpu.upload(gates),
    }));
    const actual = await gpu.read(solutions);
    for (const [firstRow, numRows] of rows) {
      for (let head = 0; head < shape.numValueHeads; head++) {
        const stride = convColumns(shape);
        const call = { mixed, gates, stride, firstRow, numRows, head };
        const { solve, mix, start, end } = deltaSolveReference(shape, call);
        const values: number[] = [];
        const bounds: number[] = [];
        const found: number[] = [];
        for (let i = 0; i < numRows; i++) {
          const record = ((firstRow + i) * shape.numValueHeads + head) * RECORD;
          for (let j = 0; j <= i; j++) {
            found.push(actual[record + j]!, actual[record + CHUNK_ROWS + j]!);
            values.push(solve.values[i * numRows + j]!, mix.values[i * numRows + j]!);
            bounds.push(solve.bounds[i * numRows + j]!, mix.bounds[i * numRows + j]!);
          }
          for (const [n, decays] of [start, end].entries()) {
            found.push(actual[record + 2 * CHUNK_ROWS + n]!);
            values.push(decays[i]!);
            bounds.push(DECAY_ERROR * decays[i]! + 2 ** -120);
          }
        }
        expectWithin(Float32Array.from(found), {
          values: Float64Array.from(values),
          bounds: Float64Array.from(bounds),
        });
      }
    }
  });
});
