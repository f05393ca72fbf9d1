import { expect, test } from "vitest";
import { nativeBytes } from "../../src/formats/weight_format.ts";
import { WeightLoader } from "../../src/stage/weight_loader.ts";
import type { ModelSource } from "../../src/weights/model_source.ts";
import { openTestGpu } from "../kernels/gpu.ts";

const { context } = await openTestGpu();
const [numRows, numCols] = [16_384, 2048];
const byteLength = nativeBytes("q8_0", numRows, numCols);

/** One tensor of 36 MB, made as it is read; `onRead` sees every range. */
function source(onRead: (bytes: number) => void): ModelSource {
  const entry = { name: "w", format: "q8_0" as const, shape: [numRows, numCols], offset: 0 };
  return {
    name: "made",
    hfConfig: {},
    gguf: null,
    tensors: new Map([["w", { ...entry, byteLength }]]),
    unreadable: new Map(),
    fileOf: () => null,
    readTensor: (_, range = { start: 0, end: byteLength }) => {
      onRead(range.end - range.start);
      return Promise.resolve(new Uint8Array(range.end - range.start));
    },
    readText: () => Promise.resolve(null),
    close: () => Promise.resolve(),
  };
}

test("a large tensor is read in pieces of at most 8 MiB, each byte once", async () => {
  const reads: number[] = [];
  const loader = new WeightLoader(context, source((bytes) => reads.push(bytes)));
  const weight = await loader.matrix({ names: ["w"], numRows, numCols });
  expect(weight.parts.length).toBe(1);
  expect(Math.max(...reads)).toBeLessThanOrEqual(8 << 20);
  expect(reads.reduce((sum, bytes) => sum + bytes, 0)).toBe(byteLength);
  loader.destroy();
});

test("loading stops when its signal aborts", async () => {
  const controller = new AbortController();
  const stopping = source(() => controller.abort(new Error("enough")));
  const loader = new WeightLoader(context, stopping, { signal: controller.signal });
  await expect(loader.matrix({ names: ["w"], numRows, numCols })).rejects.toThrow("enough");
  loader.destroy();
});

test("a tensor of another shape than config.json wants is refused", async () => {
  const loader = new WeightLoader(context, source(() => {}));
  await expect(loader.matrix({ names: ["w"], numRows: numRows + 1, numCols })).rejects
    .toThrow("config.json wants [16385, 2048]");
  await expect(loader.matrix({ names: ["missing"], numRows, numCols })).rejects
    .toThrow('tensor "missing" is missing');
  loader.destroy();
});
