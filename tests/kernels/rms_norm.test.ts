import { describe, expect, test } from "vitest";
import { headNorm, rmsNorm } from "../../src/kernels/rms_norm.ts";
import type { Tuning } from "../../src/kernels/tuning.ts";
import { gatherRows, rmsNormReference } from "../reference.ts";
import { bitsOf, expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";
import { sumVariants } from "./variants.ts";

const gpu = await openTestGpu();
const { capabilities, device } = gpu.context;
const variants = sumVariants(capabilities);

test("rms_norm is tested with subgroups exactly where the device has them", () => {
  const isFixed = device.adapterInfo.subgroupMinSize === device.adapterInfo.subgroupMaxSize;
  const hasSubgroups = device.features.has("subgroups" as GPUFeatureName) && isFixed;
  expect(variants.length).toBe(hasSubgroups ? 2 : 1);
});

async function normRows(
  x: Float32Array<ArrayBuffer>,
  weight: Float32Array<ArrayBuffer>,
  options: {
    eps?: number;
    tuning?: Partial<Tuning>;
    rows?: readonly number[];
    /** Run as on a GPU, which takes more threads for wide rows. */
    isHardware?: boolean;
    hasUnitOffset?: boolean;
    /** What y holds before, for the norm to be added to. */
    residual?: Float32Array<ArrayBuffer>;
  } = {},
): Promise<Float32Array<ArrayBuffer>> {
  const { eps = 1e-5, tuning = {}, rows, isHardware = false, residual } = options;
  const numCols = weight.length;
  const numRows = rows?.length ?? x.length / numCols;
  const y = await gpu.output(residual ?? numRows * numCols);
  const kernels = await gpu.kernels({ numTokens: numRows, numSamples: numRows }, tuning);
  const isSoftware = kernels.capabilities.isSoftware && !isHardware;
  await gpu.run(rmsNorm({ ...kernels, capabilities: { ...capabilities, isSoftware } }, {
    weight: await gpu.upload(weight),
    eps,
    x: await gpu.upload(x),
    y,
    numCols,
    numRows,
    accumulate: residual !== undefined,
    hasUnitOffset: options.hasUnitOffset ?? false,
    ...(rows && { sampleRows: await gpu.upload(Uint32Array.from(rows)) }),
  }));
  return gpu.read(y);
}

describe.each(variants)("rms_norm with $name", ({ tuning }) => {
  test.each([[1, 3], [20, 1], [100, 9], [576, 17], [1027, 3]])(
    "normalises rows of %i, %i of them",
    async (numCols, numRows) => {
      const random = new Random(numCols);
      const x = random.floats(numRows * numCols, 3);
      const weight = random.floats(numCols, 2);
      const expected = rmsNormReference(x, { weight, eps: 1e-5, stride: numCols });
      expectWithin(await normRows(x, weight, { tuning }), expected);
    },
  );

  test.each([1024, 1531])("normalises rows of %i with the threads of a GPU", async (numCols) => {
    const random = new Random(numCols);
    const x = random.floats(2 * numCols);
    const weight = random.floats(numCols);
    const expected = rmsNormReference(x, { weight, eps: 1e-5, stride: numCols });
    expectWithin(await normRows(x, weight, { tuning, isHardware: true }), expected);
  });

  test("adds eps to rows of tiny numbers, and keeps rows of zeros zero", async () => {
    const x = new Float32Array(3 * 72);
    x.set(new Random(1).floats(72, 1e-4), 72);
    const weight = new Random(2).floats(72);
    const expected = rmsNormReference(x, { weight, eps: 1e-6, stride: 72 });
    const actual = await normRows(x, weight, { eps: 1e-6, tuning });
    expectWithin(actual, expected);
    expect([...actual.subarray(0, 72)].every((value) => value === 0)).toBe(true);
  });

  test("multiplies by 1 + weight, and adds to what is there", async () => {
    const random = new Random(4);
    const [numCols, hasUnitOffset] = [100, true];
    const x = random.floats(5 * numCols, 3);
    const weight = random.floats(numCols);
    const residual = random.floats(5 * numCols, 2);
    for (const added of [{}, { residual }]) {
      const call = { weight, eps: 1e-5, stride: numCols, hasUnitOffset, ...added };
      const actual = await normRows(x, weight, { tuning, hasUnitOffset, ...added });
      expectWithin(actual, rmsNormReference(x, call));
    }
  });

  test("takes the rows that are sampled, in their order", async () => {
    const random = new Random(3);
    const x = random.floats(9 * 100);
    const weight = random.floats(100);
    const rows = [8, 0, 3, 3];
    const expected = rmsNormReference(gatherRows(x, 100, rows), { weight, eps: 1e-5, stride: 100 });
    expectWithin(await normRows(x, weight, { tuning, rows }), expected);
  });

  test.each([[128, 4, 2, false], [36, 3, 1, true], [256, 2, 1, false]])(
    "normalises heads of %i in place: queries, then keys, never values",
    async (headDim, numHeads, numKvHeads, hasUnitOffset) => {
      const random = new Random(headDim);
      const stride = (numHeads + 2 * numKvHeads) * headDim;
      const x = random.floats(5 * stride, 2);
      const norm = { eps: 1e-6, stride, headDim, numRows: 5, hasUnitOffset };
      const queries = { offset: 0, numHeads, weight: random.floats(headDim) };
      const keys = {
        offset: numHeads * headDim,
        numHeads: numKvHeads,
        weight: random.floats(headDim),
      };
      const qkv = await gpu.output(x);
      const kernels = await gpu.kernels({ numTokens: 5 }, tuning);
      for (const call of [queries, keys]) {
        await gpu.run(
          headNorm(kernels, { ...norm, ...call, weight: await gpu.upload(call.weight), x: qkv }),
        );
      }
      const [q, k] = [queries, keys].map((call) =>
        rmsNormReference(x, { ...norm, ...call, numGroups: call.numHeads })
      );
      const isKey = (_: number, i: number) => i % stride >= keys.offset;
      expectWithin(await gpu.read(qkv), {
        values: q!.values.map((value, i) => isKey(value, i) ? k!.values[i]! : value),
        bounds: q!.bounds.map((bound, i) => isKey(bound, i) ? k!.bounds[i]! : bound),
      });
    },
  );

  test("gives a row the same bits alone and among others", async () => {
    const random = new Random(5);
    const x = random.floats(33 * 576);
    const weight = random.floats(576);
    const together = bitsOf(await normRows(x, weight, { tuning }));
    for (const row of [0, 1, 17, 32]) {
      const alone = await normRows(x.slice(row * 576, (row + 1) * 576), weight, { tuning });
      expect(bitsOf(alone)).toEqual(together.slice(row * 576, (row + 1) * 576));
      const gathered = await normRows(x, weight, { tuning, rows: [row] });
      expect(bitsOf(gathered)).toEqual(bitsOf(alone));
    }
  });
});
