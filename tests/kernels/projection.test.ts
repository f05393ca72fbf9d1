import { describe, expect, test } from "vitest";
import { projection } from "../../src/kernels/projection.ts";
import { bitsOf } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { expectProjection, runProjection } from "./projection_case.ts";
import { Random } from "./random.ts";
import { randomWeight } from "./weights.ts";

const gpu = await openTestGpu();

async function programsFor(numRows: number, isDeterministic: boolean): Promise<string[]> {
  const { weight } = await randomWeight(gpu, new Random(1), {
    numCols: 32,
    parts: [{ format: "q4_0", numRows: 8 }, { format: "f32", numRows: 4 }],
  });
  const [x, y] = [await gpu.output(numRows * 32), await gpu.output(numRows * 12)];
  const kernels = await gpu.kernels({ numTokens: numRows }, { isDeterministic });
  return projection(kernels, { weight, x, y, numRows }).map(({ program }) => program.name);
}

describe("projection()", () => {
  test("takes matmul from 20 rows on, one dispatch for each part", async () => {
    expect(await programsFor(19, false)).toEqual(["matvec", "matvec"]);
    expect(await programsFor(20, false)).toEqual(["matmul", "matmul"]);
  });

  test("takes matvec for any number of rows when it must be deterministic", async () => {
    expect(await programsFor(1, true)).toEqual(["matvec", "matvec"]);
    expect(await programsFor(200, true)).toEqual(["matvec", "matvec"]);
  });

  test.each([19, 20])("computes %i rows", async (numTokens) => {
    await expectProjection(gpu, projection, {
      tuning: { isDeterministic: false },
      parts: [{ format: "q4_0", numRows: 20 }, { format: "q6_k", numRows: 9 }],
      numCols: 256,
      numTokens,
      hasBias: true,
      accumulate: true,
    });
  });

  test("gives a token the same bits in every batch when it must be deterministic", async () => {
    const random = new Random(2);
    const { weight } = await randomWeight(gpu, random, {
      numCols: 96,
      parts: [{ format: "q4_1", numRows: 21 }],
    });
    const x = random.floats(70 * 96);
    const tuning = { isDeterministic: true };
    const together = bitsOf(await runProjection(gpu, projection, { weight, x, tuning }));
    for (const [start, end] of [[0, 1], [60, 70], [3, 65]] as const) {
      const some = x.slice(start * 96, end * 96);
      const alone = await runProjection(gpu, projection, { weight, x: some, tuning });
      expect(bitsOf(alone)).toEqual(together.slice(start * 21, end * 21));
    }
  });
});
