import { describe, expect, test } from "vitest";
import type { WeightFormat } from "../../src/core.ts";
import { matmul } from "../../src/kernels/matmul.ts";
import { openTestGpu } from "./gpu.ts";
import { expectProjection, runProjection } from "./projection_case.ts";
import { Random } from "./random.ts";
import { tileVariants } from "./variants.ts";
import { ALL_FORMATS, randomWeight } from "./weights.ts";

const gpu = await openTestGpu();
const { capabilities, device } = gpu.context;
const variants = tileVariants(capabilities);

test("matmul is tested with f16 tiles exactly where the device has f16", () => {
  expect(variants.length).toBe(device.features.has("shader-f16") ? 2 : 1);
});

/** Formats that f16 tiles are tested with: what a shader unpacks is the same for both tiles. */
const F16_FORMATS: readonly WeightFormat[] = ["f32", "q4_0", "q6_k"];

describe.each(variants)("matmul with $name", ({ tuning }) => {
  const isF16 = tuning.useF16Tiles === true;

  test.each(ALL_FORMATS.filter((format) => !isF16 || F16_FORMATS.includes(format)))(
    "multiplies %s",
    async (format) => {
      await expectProjection(gpu, matmul, {
        tuning,
        parts: [{ format, numRows: 37 }],
        numCols: format.endsWith("_k") ? 256 : 96,
        numTokens: 65,
        hasBias: ALL_FORMATS.indexOf(format) % 2 === 1,
        accumulate: ALL_FORMATS.indexOf(format) % 3 === 1,
      });
    },
  );

  const tails = [["bf16", 101], ["f32", 20], ["f16", 36]] as const;
  test.each(isF16 ? tails.slice(0, 1) : tails)(
    "multiplies %s with rows of %i, no multiple of 8",
    async (format, numCols) => {
      const parts = [{ format, numRows: 5 }];
      await expectProjection(gpu, matmul, { tuning, parts, numCols, numTokens: 9 });
    },
  );

  test("inputs beyond f16 stay finite", async () => {
    const shape = { numCols: 101, parts: [{ format: "bf16", numRows: 5 }] } as const;
    const { weight, values } = await randomWeight(gpu, new Random(1), shape);
    const x = new Float32Array(9 * 101).fill(0);
    x.set([1e6, 0, -3e38], 101);
    const y = await runProjection(gpu, matmul, { weight, x, tuning });
    const [most, least] = isF16 ? [65504, -65504] : [1e6, -3e38];
    const expected = Array.from(
      { length: 5 },
      (_, row) => values[row * 101]! * most + values[row * 101 + 2]! * least,
    );
    expected.forEach((value, row) => {
      expect(Math.abs(y[5 + row]! / value - 1)).toBeLessThan(2e-3);
    });
  });
});

describe("matmul", () => {
  // Around the tile of 128 x 64.
  test.each([[65, 72], [64, 8], [130, 64]])(
    "computes %i rows over %i columns",
    async (numRows, numCols) => {
      for (const numTokens of [1, 2, 5, 64, 65, 130]) {
        await expectProjection(gpu, matmul, {
          parts: [{ format: "bf16", numRows }],
          numCols,
          numTokens,
        });
      }
    },
  );

  // 104 columns are 13 units: the second turn of 10 slices has three left.
  test("shares the sums for few tokens among slices", async () => {
    const parts = [{ format: "bf16", numRows: 65 }] as const;
    for (const numTokens of [1, 31, 33, 64, 65]) {
      const tuning = { sliceFewTokens: true };
      await expectProjection(gpu, matmul, { tuning, parts, numCols: 104, numTokens });
    }
  });

  test("takes larger tiles for few tokens of very many rows", async () => {
    const parts = [{ format: "q4_0", numRows: 16_390 }] as const;
    const tuning = { sliceFewTokens: true };
    for (const numTokens of [13, 18]) {
      await expectProjection(gpu, matmul, { tuning, parts, numCols: 96, numTokens });
    }
  });

  test("adds a bias and the residual, part by part of a fused weight", async () => {
    const parts = [{ format: "q4_k", numRows: 67 }, { format: "q8_0", numRows: 11 }] as const;
    const test = { parts, numCols: 256, numTokens: 19, hasBias: true, accumulate: true };
    await expectProjection(gpu, matmul, test);
  });

  test("computes rows of samples: as many as the step has", async () => {
    await expectProjection(gpu, matmul, {
      parts: [{ format: "q8_0", numRows: 40 }],
      numCols: 96,
      numTokens: 3,
      rowKind: "samples",
    });
  });
});
