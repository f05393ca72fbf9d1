import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { WeightFormat } from "../../src/core.ts";
import { f16ToNumber } from "../../src/formats/f16.ts";
import { readGgufHeader } from "../../src/formats/gguf.ts";
import { readSafetensorsHeader } from "../../src/formats/safetensors.ts";
import { dequantize, nativeBytes, planeBytes, repack } from "../../src/formats/weight_format.ts";
import { WEIGHT_FORMATS } from "../../src/formats/weight_format.ts";
import { MemorySource } from "../../src/weights/memory_source.ts";

const FORMATS = Object.keys(WEIGHT_FORMATS) as WeightFormat[];
const FIXTURES = new URL("../fixtures/gguf/", import.meta.url);

/** Native bytes from formats.gguf and the values that PyPI's gguf computed for them. */
async function fixture(format: WeightFormat) {
  const gguf = fixtureSource("formats.gguf");
  const tensor = (await readGgufHeader(gguf)).tensors.get(format)!;
  const expected = fixtureSource("formats.safetensors");
  const values = (await readSafetensorsHeader(expected)).tensors.get(format)!;
  const valueBytes = await expected.read(values.offset, values.offset + values.byteLength);
  const [numRows = 0, numCols = 0] = tensor.shape;
  return {
    numRows,
    numCols,
    native: await gguf.read(tensor.offset, tensor.offset + tensor.byteLength),
    values: new Float32Array(valueBytes.buffer),
  };
}

function fixtureSource(name: string): MemorySource {
  return new MemorySource(name, new Uint8Array(readFileSync(new URL(name, FIXTURES))));
}

/** Bits, so that -0 differs from 0. */
function bits(values: Float32Array): number[] {
  return [...new Uint32Array(values.buffer, values.byteOffset, values.length)];
}

describe.each(FORMATS)("%s", (format) => {
  test("dequantize() gives the bits of PyPI's gguf", async () => {
    const { native, values } = await fixture(format);
    const dense = WEIGHT_FORMATS[format].blockSize === 1;
    expect(values.length).toBeGreaterThan(dense ? 14 : 479);
    expect(bits(dequantize(format, native, values.length))).toEqual(bits(values));
  });

  test("planes of repack() hold the same values", async () => {
    const { native, values, numRows, numCols } = await fixture(format);
    const planes = repack(format, native, numRows, numCols);
    expect(planes.map(({ length }) => length)).toEqual(planeBytes(format, numRows, numCols));
    const words = planes.map((plane) => new Uint32Array(plane.slice().buffer));
    const unpacked = new Float32Array(values.length);
    for (let row = 0; row < numRows; row++) {
      for (let col = 0; col < numCols; col++) {
        unpacked[row * numCols + col] = READERS[format](words, { row, col, numCols });
      }
    }
    expect(bits(unpacked)).toEqual(bits(values));
  });

  test("repack() reads bytes at an odd address", async () => {
    const { native, numRows, numCols } = await fixture(format);
    const shifted = new Uint8Array(native.length + 1);
    shifted.set(native, 1);
    expect(repack(format, shifted.subarray(1), numRows, numCols))
      .toEqual(repack(format, native, numRows, numCols));
  });

  test("planes of pieces concatenate to the planes of the whole", async () => {
    const { native, numRows, numCols } = await fixture(format);
    const rowBytes = nativeBytes(format, 1, numCols);
    const first = repack(format, native.subarray(0, 2 * rowBytes), 2, numCols);
    const second = repack(format, native.subarray(2 * rowBytes), numRows - 2, numCols);
    const whole = repack(format, native, numRows, numCols);
    expect(first.map((plane, i) => [...plane, ...second[i]!]))
      .toEqual(whole.map((plane) => [...plane]));
  });

  test("refuses bytes of another length", () => {
    expect(() => repack(format, new Uint8Array(3), 1, 256)).toThrow(RangeError);
    expect(() => dequantize(format, new Uint8Array(3), 256)).toThrow(RangeError);
  });
});

test("a row that splits a block is refused", () => {
  expect(() => planeBytes("q4_k", 1, 128)).toThrow('A row of 128 does not split into "q4_k"');
});

interface Place {
  readonly row: number;
  readonly col: number;
  readonly numCols: number;
}

type Planes = readonly Uint32Array[];

/** Element `col` of `row` out of the planes, as a shader would read it. */
const READERS: Record<WeightFormat, (planes: Planes, place: Place) => number> = {
  f32: ([words], { row, col, numCols }) => floatOf(words![row * numCols + col]!),
  f16: ([words], { row, col, numCols }) =>
    f16ToNumber(halfOf(words!, row * Math.ceil(numCols / 2) * 2 + col)),
  bf16: ([words], { row, col, numCols }) =>
    floatOf(halfOf(words!, row * Math.ceil(numCols / 2) * 2 + col) << 16),
  q4_0: ([quants, scales], place) => {
    const { block, element } = blockOf(place, 32);
    return scaleOf(scales!, block) * (fieldOf(quants!, { block, element, perBlock: 4 }) - 8);
  },
  q4_1: ([quants, scales], place) => {
    const { block, element } = blockOf(place, 32);
    const quant = fieldOf(quants!, { block, element, perBlock: 4 });
    return Math.fround(scaleOf(scales!, 2 * block) * quant) + scaleOf(scales!, 2 * block + 1);
  },
  q8_0: ([quants, scales], place) => {
    const { block, element } = blockOf(place, 32);
    const byte = quants![block * 8 + (element >> 2)]! >>> (8 * (element & 3));
    return ((byte << 24) >> 24) * scaleOf(scales!, block);
  },
  q4_k: ([quants, scales], place) => {
    const { block, element } = blockOf(place, 256);
    const quant = fieldOf(quants!, { block, element, perBlock: 32 });
    const sub = element >> 5;
    const byte = (index: number) =>
      (scales![4 * block + 1 + (index >> 2)]! >>> (8 * (index & 3))) & 255;
    const scale = sub < 4 ? byte(sub) & 63 : (byte(sub + 4) & 15) | ((byte(sub - 4) >> 6) << 4);
    const min = sub < 4 ? byte(sub + 4) & 63 : (byte(sub + 4) >> 4) | ((byte(sub) >> 6) << 4);
    const d = Math.fround(scaleOf(scales!, 8 * block) * scale);
    return Math.fround(d * quant) - Math.fround(scaleOf(scales!, 8 * block + 1) * min);
  },
  q6_k: ([quants, high, scales, d], place) => {
    const { block, element } = blockOf(place, 256);
    const low = fieldOf(quants!, { block, element, perBlock: 32 });
    const top = (high![16 * block + (element >> 4)]! >>> (2 * (element & 15))) & 3;
    const group = element >> 4;
    const byte = scales![4 * block + (group >> 2)]! >>> (8 * (group & 3));
    const scale = Math.fround(scaleOf(d!, block) * ((byte << 24) >> 24));
    return scale * ((low | (top << 4)) - 32);
  },
};

function blockOf({ row, col, numCols }: Place, blockSize: number) {
  const at = row * numCols + col;
  return { block: Math.floor(at / blockSize), element: at % blockSize };
}

function fieldOf(
  words: Uint32Array,
  { block, element, perBlock }: { block: number; element: number; perBlock: number },
): number {
  return (words[block * perBlock + (element >> 3)]! >>> (4 * (element & 7))) & 15;
}

function scaleOf(words: Uint32Array, index: number): number {
  return f16ToNumber(halfOf(words, index));
}

function halfOf(words: Uint32Array, index: number): number {
  return (words[index >> 1]! >>> (16 * (index & 1))) & 0xffff;
}

function floatOf(word: number): number {
  return new Float32Array(new Uint32Array([word]).buffer)[0]!;
}
