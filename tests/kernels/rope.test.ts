import { describe, expect, test } from "vitest";
import { rope } from "../../src/kernels/rope.ts";
import { ropeReference } from "../reference.ts";
import { bitsOf, expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();
const MAX_POSITIONS = 200;
const THETA = 10_000;

interface RopeShape {
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly numQueries: number;
  readonly numKeys: number;
  readonly isInterleaved: boolean;
}

/** (cos, sin) of each position and pair. */
function angleTable(rotaryDim: number): Float32Array<ArrayBuffer> {
  const half = rotaryDim / 2;
  return Float32Array.from({ length: MAX_POSITIONS * rotaryDim }, (_, at) => {
    const pair = Math.floor(at / 2);
    const angle = Math.floor(pair / half) * THETA ** (-2 * (pair % half) / rotaryDim);
    return at % 2 === 0 ? Math.cos(angle) : Math.sin(angle);
  });
}

/** Queries, keys and values of one token have this many elements. */
function strideOf({ headDim, numQueries, numKeys }: RopeShape): number {
  return (numQueries + 2 * numKeys) * headDim;
}

async function rotate(
  shape: RopeShape,
  qkv: Float32Array<ArrayBuffer>,
  positions: readonly number[],
): Promise<Float32Array<ArrayBuffer>> {
  const numTokens = positions.length;
  const output = await gpu.output(qkv);
  await gpu.run(rope(await gpu.kernels({ numTokens }), {
    tokenRows: await gpu.upload(
      Uint32Array.from(positions.flatMap((position) => [position, 0, 0])),
    ),
    angles: await gpu.upload(angleTable(shape.rotaryDim)),
    qkv: output,
    stride: strideOf(shape),
    numRotatedHeads: shape.numQueries + shape.numKeys,
    headDim: shape.headDim,
    rotaryDim: shape.rotaryDim,
    isInterleaved: shape.isInterleaved,
    numTokens,
  }));
  return gpu.read(output);
}

const SHAPES: readonly RopeShape[] = [
  { headDim: 16, rotaryDim: 16, numQueries: 1, numKeys: 1, isInterleaved: false },
  { headDim: 64, rotaryDim: 64, numQueries: 9, numKeys: 3, isInterleaved: false },
  { headDim: 64, rotaryDim: 64, numQueries: 3, numKeys: 1, isInterleaved: true },
  { headDim: 80, rotaryDim: 32, numQueries: 2, numKeys: 2, isInterleaved: false },
  { headDim: 80, rotaryDim: 20, numQueries: 5, numKeys: 1, isInterleaved: true },
  { headDim: 256, rotaryDim: 128, numQueries: 2, numKeys: 1, isInterleaved: false },
];

describe("rope()", () => {
  test.each(SHAPES)(
    "turns $rotaryDim of $headDim elements of $numQueries + $numKeys heads, interleaved $isInterleaved",
    async (shape) => {
      for (const positions of [[0], [0, 1, 2], [199, 7, 63, 64, 7, 8, 9, 198, 1]]) {
        const stride = strideOf(shape);
        const qkv = new Random(shape.headDim).floats(positions.length * stride, 4);
        const numHeads = shape.numQueries + shape.numKeys;
        const expected = ropeReference(qkv, {
          ...shape,
          positions,
          stride,
          numHeads,
          theta: THETA,
        });
        expectWithin(await rotate(shape, qkv, positions), expected);
      }
    },
  );

  test("gives a token the same bits alone and among others", async () => {
    const shape = SHAPES[1]!;
    const stride = strideOf(shape);
    const positions = [5, 100, 101, 102, 199];
    const qkv = new Random(1).floats(positions.length * stride);
    const together = bitsOf(await rotate(shape, qkv, positions));
    for (const [token, position] of positions.entries()) {
      const own = qkv.slice(token * stride, (token + 1) * stride);
      expect(bitsOf(await rotate(shape, own, [position])))
        .toEqual(together.slice(token * stride, (token + 1) * stride));
    }
  });
});
