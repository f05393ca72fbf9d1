import { describe, expect, test } from "vitest";
import type { WeightFormat } from "../../src/core.ts";
import { embed } from "../../src/kernels/embed.ts";
import { embedReference } from "../reference.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";
import { ALL_FORMATS, DENSE_FORMATS, randomWeight } from "./weights.ts";

const gpu = await openTestGpu();

async function expectRows(
  shape: {
    readonly numCols: number;
    readonly parts: readonly { readonly format: WeightFormat; readonly numRows: number }[];
  },
  tokenIds: readonly number[],
  scale?: number,
): Promise<void> {
  const { weight, values } = await randomWeight(gpu, new Random(tokenIds.length), shape);
  const out = await gpu.output(tokenIds.length * shape.numCols);
  const kernels = await gpu.kernels({ numTokens: tokenIds.length });
  await gpu.run(embed(kernels, {
    weight,
    tokenIds: await gpu.upload(Uint32Array.from(tokenIds)),
    out,
    numTokens: tokenIds.length,
    ...(scale && { scale }),
  }));
  const call = { ...shape, tokenIds, ...(scale && { scale }) };
  expect(await gpu.read(out)).toEqual(embedReference(values, call));
}

describe("embed() gives exactly the values that the format defines:", () => {
  test.each(ALL_FORMATS)("%s", async (format) => {
    // 3 blocks a row: planes of two-byte factors end in the middle of a word.
    const numCols = format.endsWith("_k") ? 768 : 96;
    await expectRows({ numCols, parts: [{ format, numRows: 23 }] }, [22, 0, 7, 7, 13]);
  });

  test.each(DENSE_FORMATS)("%s with rows that are no multiple of 8", async (format) => {
    for (const numCols of [1, 20, 601]) {
      await expectRows({ numCols, parts: [{ format, numRows: 5 }] }, [4, 0, 3]);
    }
  });

  test("rows longer than a workgroup's 512 elements", async () => {
    await expectRows({ numCols: 1312, parts: [{ format: "q4_0", numRows: 3 }] }, [2, 1]);
  });
});

test("embed() takes each id from the part that holds its row", async () => {
  const parts = [
    { format: "q8_0", numRows: 5 },
    { format: "q8_0", numRows: 3 },
    { format: "f16", numRows: 1 },
    { format: "q4_1", numRows: 7 },
  ] as const;
  await expectRows({ numCols: 64, parts }, [0, 4, 5, 7, 8, 9, 15, 2, 8]);
});

test("embed() scales by an f32", async () => {
  const parts = [{ format: "bf16", numRows: 5 }, { format: "f32", numRows: 2 }] as const;
  await expectRows({ numCols: 20, parts }, [0, 6, 3, 5], Math.sqrt(1152));
});
