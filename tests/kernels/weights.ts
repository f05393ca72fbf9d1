/**
 * Random weight matrices in every format, through the real repacking.
 *
 * @module
 */
import type { WeightFormat } from "../../src/core.ts";
import {
  dequantize,
  nativeBytes,
  repack,
  WEIGHT_FORMATS,
} from "../../src/formats/weight_format.ts";
import type { Weight, WeightPart } from "../../src/gpu/weight.ts";
import type { TestGpu } from "./gpu.ts";
import type { Random } from "./random.ts";

export const ALL_FORMATS = Object.keys(WEIGHT_FORMATS) as WeightFormat[];

/** Formats without blocks: any number of columns will do. */
export const DENSE_FORMATS = ["f32", "f16", "bf16"] as const satisfies readonly WeightFormat[];

/** Where native blocks keep their f16 factors, in halves. */
const FACTORS: Readonly<Record<WeightFormat, { perBlock: number; at: readonly number[] }>> = {
  f32: { perBlock: 2, at: [] },
  f16: { perBlock: 1, at: [0] },
  bf16: { perBlock: 1, at: [] },
  q4_0: { perBlock: 9, at: [0] },
  q4_1: { perBlock: 10, at: [0, 1] },
  q8_0: { perBlock: 17, at: [0] },
  q4_k: { perBlock: 72, at: [0, 1] },
  q6_k: { perBlock: 105, at: [104] },
};

/** A matrix on the GPU and the values that its bytes stand for, f32 [numRows, numCols]. */
export interface TestWeight {
  readonly weight: Weight;
  readonly values: Float32Array<ArrayBuffer>;
}

/** Uploads random parts that follow each other. */
export async function randomWeight(
  gpu: TestGpu,
  random: Random,
  shape: {
    readonly numCols: number;
    readonly parts: readonly { readonly format: WeightFormat; readonly numRows: number }[];
  },
): Promise<TestWeight> {
  const { numCols } = shape;
  const numRows = shape.parts.reduce((sum, part) => sum + part.numRows, 0);
  const values = new Float32Array(numRows * numCols);
  const parts: WeightPart[] = [];
  let startRow = 0;
  for (const part of shape.parts) {
    const native = randomBlocks(
      random,
      part.format,
      nativeBytes(part.format, part.numRows, numCols),
    );
    values.set(dequantize(part.format, native, part.numRows * numCols), startRow * numCols);
    const planes = repack(part.format, native, part.numRows, numCols);
    const planeWords: number[] = [];
    const bytes = new Uint8Array(planes.reduce((sum, plane) => sum + plane.length, 0));
    let at = 0;
    for (const plane of planes) {
      planeWords.push(at / 4);
      bytes.set(plane, at);
      at += plane.length;
    }
    parts.push({ ...part, startRow, buffer: await gpu.upload(bytes), planeWords });
    startRow += part.numRows;
  }
  return { weight: { numRows, numCols, parts }, values };
}

/** Native blocks: every bit of a quant is random, factors and plain values are of moderate size. */
function randomBlocks(random: Random, format: WeightFormat, numBytes: number): Uint8Array {
  if (format === "f32") return new Uint8Array(random.floats(numBytes / 4).buffer);
  if (format === "bf16") {
    const words = new Uint32Array(random.floats(numBytes / 2).buffer);
    return new Uint8Array(Uint16Array.from(words, (word) => word >>> 16).buffer);
  }
  const bytes = random.bytes(numBytes);
  const halves = new Uint16Array(bytes.buffer);
  const { perBlock, at } = FACTORS[format];
  for (let block = 0; block < halves.length; block += perBlock) {
    for (const offset of at) halves[block + offset] = random.half();
  }
  return bytes;
}
