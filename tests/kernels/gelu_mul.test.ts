import { expect, test } from "vitest";
import { geluMul } from "../../src/kernels/gelu_mul.ts";
import { geluMulReference } from "../reference.ts";
import { expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();

async function gated(
  gateUp: Float32Array<ArrayBuffer>,
  numCols: number,
): Promise<Float32Array<ArrayBuffer>> {
  const numTokens = gateUp.length / numCols / 2;
  const y = await gpu.output(numTokens * numCols);
  const call = { gateUp: await gpu.upload(gateUp), y, numCols, numTokens };
  await gpu.run(geluMul(await gpu.kernels({ numTokens }), call));
  return gpu.read(y);
}

test.each([[1, 1], [20, 3], [64, 2], [65, 5], [300, 17]])(
  "gelu_mul gates rows of %i, %i of them",
  async (numCols, numTokens) => {
    const gateUp = new Random(numCols).floats(2 * numCols * numTokens, 9);
    expectWithin(await gated(gateUp, numCols), geluMulReference(gateUp, numCols));
  },
);

test("gelu_mul stays finite where exp and the cube overflow, and is 0 at 0", async () => {
  const gates = [0, -0, 1e-30, 5, 10, 20, 1e4, 1e14, -5, -10, -20, -200, -1e4, -1e14, -3e37];
  const gateUp = Float32Array.from([...gates, ...gates.map((_, i) => i % 2 === 0 ? 2 : -3)]);
  const actual = await gated(gateUp, gates.length);
  expectWithin(actual, geluMulReference(gateUp, gates.length));
  expect(actual[0]).toBe(0);
});
