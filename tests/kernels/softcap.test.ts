import { expect, test } from "vitest";
import { softcap } from "../../src/kernels/softcap.ts";
import { softcapReference } from "../reference.ts";
import { expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";
import { Random } from "./random.ts";

const gpu = await openTestGpu();

async function capped(
  values: Float32Array<ArrayBuffer>,
  { cap, vocabSize }: { readonly cap: number; readonly vocabSize: number },
): Promise<Float32Array<ArrayBuffer>> {
  const numSamples = values.length / vocabSize;
  const logits = await gpu.output(values);
  const kernels = await gpu.kernels({ numTokens: numSamples + 1, numSamples });
  await gpu.run(softcap(kernels, { logits, cap, vocabSize, numSamples }));
  return gpu.read(logits);
}

test.each([[1, 1, 30], [65, 3, 30], [300, 7, 0.5]])(
  "softcap keeps rows of %i, %i of them, below %d",
  async (vocabSize, numSamples, cap) => {
    const logits = new Random(vocabSize).floats(vocabSize * numSamples, 90);
    expectWithin(await capped(logits, { cap, vocabSize }), softcapReference(logits, cap));
  },
);

test("softcap stays finite, and 0 stays 0", async () => {
  const logits = Float32Array.from([0, 1e-6, -1e-6, 1e4, -1e4, 3e38, -3e38]);
  const actual = await capped(logits, { cap: 30, vocabSize: logits.length });
  expectWithin(actual, softcapReference(logits, 30));
  expect(actual[0]).toBe(0);
});
