import { expect, test } from "vitest";
import { siluMul } from "../../src/kernels/silu_mul.ts";
import { siluMulReference } from "../reference.ts";
import { expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();

async function gated(
  gateUp: Float32Array<ArrayBuffer>,
  numCols: number,
  rowGate: Float32Array<ArrayBuffer> | null = null,
): Promise<Float32Array<ArrayBuffer>> {
  const numTokens = gateUp.length / numCols / 2;
  const y = await gpu.output(numTokens * numCols);
  await gpu.run(siluMul(await gpu.kernels({ numTokens }), {
    ...{ y, numCols, numTokens },
    gateUp: await gpu.upload(gateUp),
    rowGate: rowGate && await gpu.upload(rowGate),
  }));
  return gpu.read(y);
}

test.each([[1, 1], [20, 3], [64, 2], [65, 5], [300, 17]])(
  "silu_mul gates rows of %i, %i of them",
  async (numCols, numTokens) => {
    const gateUp = new Random(numCols).floats(2 * numCols * numTokens, 9);
    expectWithin(await gated(gateUp, numCols), siluMulReference(gateUp, numCols));
  },
);

test("silu_mul multiplies each row by the sigmoid of its own number", async () => {
  const random = new Random(4);
  const gateUp = random.floats(2 * 65 * 3, 3);
  const rowGate = Float32Array.of(-2.5, 0, 90);
  const { values, bounds } = siluMulReference(gateUp, 65);
  const shares = rowGate.map((gate) => 1 / (1 + Math.exp(-gate)));
  expectWithin(await gated(gateUp, 65, rowGate), {
    values: values.map((value, at) => value * shares[Math.floor(at / 65)]!),
    bounds: bounds.map((bound, at) => bound * 2 * shares[Math.floor(at / 65)]!),
  });
});

test("silu_mul stays finite where exp overflows, and is 0 at 0", async () => {
  const gates = [0, -0, 1e-30, 20, 88, 89, 1e4, -20, -87, -88, -89, -200, -1e4, -3e38];
  const gateUp = Float32Array.from([...gates, ...gates.map((_, i) => i % 2 === 0 ? 2 : -3)]);
  const actual = await gated(gateUp, gates.length);
  expectWithin(actual, siluMulReference(gateUp, gates.length));
  expect(actual[0]).toBe(0);
});
