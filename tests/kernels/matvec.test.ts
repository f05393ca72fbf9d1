import { describe, expect, test } from "vitest";
import type { WeightFormat } from "../../src/core.ts";
import { matvec } from "../../src/kernels/matvec.ts";
import type { Tuning } from "../../src/kernels/tuning.ts";
import { bitsOf } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { expectProjection, runProjection } from "./projection_case.ts";
import { Random } from "./random.ts";
import { matvecVariants } from "./variants.ts";
import { ALL_FORMATS, DENSE_FORMATS, randomWeight } from "./weights.ts";

const gpu = await openTestGpu();
const { capabilities, device } = gpu.context;
const variants = matvecVariants(capabilities);

test("matvec is tested with subgroups exactly where the device has them", () => {
  const isFixed = device.adapterInfo.subgroupMinSize === device.adapterInfo.subgroupMaxSize;
  const hasSubgroups = device.features.has("subgroups" as GPUFeatureName) && isFixed;
  const hasBroadcasts = hasSubgroups && device.adapterInfo.subgroupMinSize === 8;
  expect(variants.length).toBe(3 + Number(hasSubgroups) + Number(hasBroadcasts));
});

describe.each(variants)("matvec with $name", ({ tuning }) => {
  test.each(ALL_FORMATS)("multiplies %s", async (format) => {
    const numCols = format.endsWith("_k") ? 512 : 288;
    await expectProjection(gpu, matvec, {
      tuning,
      parts: [{ format, numRows: 37 }],
      numCols,
      numTokens: 3,
    });
  });
});

describe("matvec", () => {
  test.each(DENSE_FORMATS)("multiplies %s with rows that are no multiple of 8", async (format) => {
    for (const [numCols, lanes] of [[1, 1], [20, 8], [101, 32]] as const) {
      await expectProjection(gpu, matvec, {
        tuning: { matvecLanes: lanes, useSubgroups: false },
        parts: [{ format, numRows: 5 }],
        numCols,
        numTokens: 2,
      });
    }
  });

  // One row, a workgroup of rows and one more; tokens around every tile of 1, 2, 4 and 8.
  test.each([[1, [1, 2]], [65, [5, 17]], [130, [9, 65]]] as const)(
    "computes %i rows for %j tokens",
    async (numRows, tokenCounts) => {
      for (const { tuning } of [variants[0]!, variants.at(-1)!]) {
        for (const numTokens of tokenCounts) {
          await expectProjection(gpu, matvec, {
            tuning: { ...tuning, matvecTokens: 8 },
            parts: [{ format: "q8_0", numRows }],
            numCols: 64,
            numTokens,
          });
        }
      }
    },
  );

  test("adds a bias and the residual, part by part of a fused weight", async () => {
    const parts = [
      { format: "q4_0", numRows: 33 },
      { format: "q4_0", numRows: 6 },
      { format: "f16", numRows: 2 },
    ] as const;
    for (const [hasBias, accumulate] of [[true, true], [true, false], [false, true]] as const) {
      const test = { parts, numCols: 96, numTokens: 3, hasBias, accumulate };
      await expectProjection(gpu, matvec, test);
    }
  });

  test("computes rows of samples: as many as the step has", async () => {
    await expectProjection(gpu, matvec, {
      parts: [{ format: "q8_0", numRows: 40 }],
      numCols: 96,
      numTokens: 3,
      rowKind: "samples",
    });
  });

  test("folds rows beyond 65,535 workgroups", async () => {
    await expectProjection(gpu, matvec, {
      tuning: { matvecLanes: 64, useSubgroups: false },
      parts: [{ format: "f16", numRows: 65_541 }],
      numCols: 4,
      numTokens: 2,
    });
  });
});

describe("matvec gives a token the same bits alone and in every batch, for every tile of tokens:", () => {
  const formats = ["q4_1", "q6_k"] as const satisfies readonly WeightFormat[];
  test.each(variants)("$name", async ({ name, tuning }) => {
    const random = new Random(9);
    const numCols = 512;
    const format = formats[variants.findIndex((variant) => variant.name === name) % 2]!;
    const { weight } = await randomWeight(gpu, random, {
      numCols,
      parts: [{ format, numRows: 19 }],
    });
    const x = random.floats(33 * numCols);
    const run = async (numTokens: number, chosen: Partial<Tuning>) => {
      const some = x.slice(0, numTokens * numCols);
      const run = { tuning: { ...tuning, ...chosen }, weight, x: some };
      return bitsOf(await runProjection(gpu, matvec, run));
    };
    const expected = await run(33, { matvecTokens: 1 });
    for (const matvecTokens of [1, 2, 4, 8]) {
      for (const numTokens of [1, 2, 3, 5, 9, 33]) {
        const actual = await run(numTokens, { matvecTokens });
        expect(actual, `${numTokens} tokens, tiles of ${matvecTokens}`)
          .toEqual(expected.slice(0, numTokens * 19));
      }
    }
  });

  test("with broadcasts as without", async () => {
    const random = new Random(10);
    const parts = [{ format: "q4_0", numRows: 70 }] as const;
    const { weight } = await randomWeight(gpu, random, { numCols: 96, parts });
    for (const numTokens of [1, 3, 9]) {
      const x = random.floats(numTokens * 96);
      const [plain, broadcast] = [false, true].map((useSubgroups) => ({
        tuning: { matvecLanes: 1, useSubgroups },
        weight,
        x,
      }));
      const expected = bitsOf(await runProjection(gpu, matvec, plain!));
      expect(bitsOf(await runProjection(gpu, matvec, broadcast!))).toEqual(expected);
    }
  });
});
