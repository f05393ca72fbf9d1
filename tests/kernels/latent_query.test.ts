import { describe, expect, test } from "vitest";
import type { KernelContext } from "../../src/kernels/context.ts";
import { latentWidth } from "../../src/kernels/latent_cache.ts";
import { latentQuery } from "../../src/kernels/latent_query.ts";
import { latentQueryReference, type LatentShape, wholeQuads } from "./latent_reference.ts";
import { bitsOf, expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { angleTable, LATENT_SHAPES, latentHeads, THETA, tokenRowsOf } from "./latent_case.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();
const POSITIONS = [0, 1, 199, 7, 63, 64];

/** With the rows of a head shared among threads, as on a GPU, or not, as on a CPU. */
function withSlices(kernels: KernelContext, isSliced: boolean): KernelContext {
  return { ...kernels, capabilities: { ...kernels.capabilities, isSoftware: !isSliced } };
}

function queriesOf(shape: LatentShape): Float32Array<ArrayBuffer> {
  const { numHeads, nopeDim, ropeDim } = shape;
  return new Random(nopeDim).floats(POSITIONS.length * numHeads * (nopeDim + ropeDim), 2);
}

async function run(
  shape: LatentShape,
  { heads, isInterleaved = true, isSliced = false, tokens = POSITIONS.map((_, t) => t) }: {
    readonly heads: Awaited<ReturnType<typeof latentHeads>>;
    readonly isInterleaved?: boolean;
    readonly isSliced?: boolean;
    readonly tokens?: readonly number[];
  },
): Promise<Float32Array<ArrayBuffer>> {
  const { numHeads, latentDim, nopeDim, ropeDim } = shape;
  const queries = queriesOf(shape);
  const stride = numHeads * (nopeDim + ropeDim);
  const own = tokens.flatMap((t) => [...queries.subarray(t * stride, (t + 1) * stride)]);
  const numTokens = tokens.length;
  const out = await gpu.output(numTokens * numHeads * latentWidth({ latentDim, ropeDim }));
  await gpu.run(latentQuery(withSlices(await gpu.kernels({ numTokens }), isSliced), {
    ...heads,
    tokenRows: await gpu.upload(tokenRowsOf(tokens.map((t) => POSITIONS[t]!))),
    angles: await gpu.upload(angleTable(ropeDim)),
    isInterleaved,
    q: await gpu.upload(Float32Array.from(own)),
    out,
    numTokens,
  }));
  return gpu.read(out);
}

describe.each(LATENT_SHAPES)("latent_query of $numHeads heads of $latentDim", (shape) => {
  test.each([false, true])(
    "asks for the latents that the keys stand for, sliced %s",
    async (isSliced) => {
      const heads = await latentHeads(gpu, shape, { format: "bf16" });
      for (const isInterleaved of [false, true]) {
        const expected = latentQueryReference(queriesOf(shape), {
          ...{ ...shape, isInterleaved, positions: POSITIONS, theta: THETA },
          weight: heads.values,
        });
        expectWithin(await run(shape, { heads, isSliced, isInterleaved }), {
          values: wholeQuads(expected.values, shape),
          bounds: wholeQuads(expected.bounds, shape),
        });
      }
    },
  );
});

describe("latent_query", () => {
  const shape = LATENT_SHAPES[3]!;

  test("reads blocks, in parts that cut a head", async () => {
    const heads = await latentHeads(gpu, shape, { format: "q8_0", cuts: [40] });
    const expected = latentQueryReference(queriesOf(shape), {
      ...{ ...shape, isInterleaved: true, positions: POSITIONS, theta: THETA },
      weight: heads.values,
    });
    expectWithin(await run(shape, { heads }), expected);
  });

  test.each([false, true])(
    "gives a token the same bits alone and among others, sliced %s",
    async (isSliced) => {
      const heads = await latentHeads(gpu, shape, { format: "f32" });
      const together = bitsOf(await run(shape, { heads, isSliced }));
      const width = shape.numHeads * (shape.latentDim + shape.ropeDim);
      for (const tokens of [[0], [3], [5], [4, 2], [1, 2, 3, 4, 5]]) {
        const bits = bitsOf(await run(shape, { heads, isSliced, tokens }));
        tokens.forEach((token, i) => {
          expect(bits.slice(i * width, (i + 1) * width))
            .toEqual(together.slice(token * width, (token + 1) * width));
        });
      }
    },
  );
});
