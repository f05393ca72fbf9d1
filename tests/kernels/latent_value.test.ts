import { describe, expect, test } from "vitest";
import { latentValue } from "../../src/kernels/latent_value.ts";
import type { Tuning } from "../../src/kernels/tuning.ts";
import { type LatentShape, latentValueReference, wholeQuads } from "./latent_reference.ts";
import { bitsOf, expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { LATENT_SHAPES, latentHeads } from "./latent_case.ts";
import { Random } from "./random.ts";
import { matvecVariants } from "./variants.ts";

const gpu = await openTestGpu();
const NUM_TOKENS = 6;

function seenBy({ numHeads, latentDim, ropeDim }: LatentShape): Float32Array<ArrayBuffer> {
  return new Random(latentDim).floats(NUM_TOKENS * numHeads * (latentDim + ropeDim), 2);
}

async function run(
  { heads, seen, tuning = {} }: {
    readonly heads: Awaited<ReturnType<typeof latentHeads>>;
    readonly seen: Float32Array<ArrayBuffer>;
    readonly tuning?: Partial<Tuning>;
  },
): Promise<Float32Array<ArrayBuffer>> {
  const { numHeads, valueDim, ropeDim, weight } = heads;
  const rows = wholeQuads(seen, { latentDim: weight.numCols, ropeDim });
  const numTokens = seen.length / (numHeads * (weight.numCols + ropeDim));
  const y = await gpu.output(numTokens * numHeads * valueDim);
  await gpu.run(latentValue(await gpu.kernels({ numTokens }, tuning), {
    ...heads,
    seen: await gpu.upload(rows),
    y,
    numTokens,
  }));
  return gpu.read(y);
}

describe.each(LATENT_SHAPES)("latent_value of $numHeads heads of $latentDim", (shape) => {
  test("gives the values that the latents stand for", async () => {
    const heads = await latentHeads(gpu, shape, { format: "f16" });
    const seen = seenBy(shape);
    const expected = latentValueReference(seen, { ...shape, weight: heads.values });
    for (const { name, tuning } of matvecVariants(gpu.context.capabilities)) {
      expectWithin(await run({ heads, seen, tuning }), expected, name);
    }
  });
});

describe("latent_value", () => {
  const shape = LATENT_SHAPES[3]!;

  test.each(["q8_0", "q4_1"] as const)("reads %s, in parts that cut a head", async (format) => {
    const heads = await latentHeads(gpu, shape, { format, cuts: [40, 100, 30] });
    const seen = seenBy(shape);
    expectWithin(
      await run({ heads, seen }),
      latentValueReference(seen, { ...shape, weight: heads.values }),
    );
  });

  test.each(matvecVariants(gpu.context.capabilities))(
    "gives a token the same bits alone and among others, $name",
    async ({ tuning }) => {
      const heads = await latentHeads(gpu, shape, { format: "f32" });
      const seen = seenBy(shape);
      const together = bitsOf(await run({ heads, seen, tuning }));
      const [width, out] = [seen.length / NUM_TOKENS, shape.numHeads * shape.valueDim];
      for (const [first, end] of [[0, 1], [5, 6], [2, 4], [1, 6]] as const) {
        const some = await run({ heads, seen: seen.slice(first * width, end * width), tuning });
        expect(bitsOf(some)).toEqual(together.slice(first * out, end * out));
      }
    },
  );
});
