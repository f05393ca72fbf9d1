/**
 * How weights lie in files and on the GPU. A format is a row of the table: its native block, its
 * GPU planes, and two functions that read native bytes.
 *
 * On the GPU a tensor is one buffer per plane. Each plane is linear over rows, then blocks, in the
 * native width: nothing is widened. Words are little-endian u32.
 *
 * @module
 */
import type { WeightFormat } from "../core.ts";
import {
  dequantizeBf16,
  dequantizeF16,
  dequantizeF32,
  dequantizeQ4K,
  dequantizeQ4v0,
  dequantizeQ4v1,
  dequantizeQ6K,
  dequantizeQ8v0,
} from "./dequantize.ts";
import { repackQ4K, repackQ4v0, repackQ4v1, repackQ6K, repackQ8v0 } from "./repack.ts";

/** One GPU buffer of a tensor. */
export interface PlaneLayout {
  readonly name: "values" | "quants" | "high" | "scales" | "d";
  /** Bytes a block takes in this plane. Two-byte blocks pair up in a word, even index low. */
  readonly bytesPerBlock: number;
}

/** One row of the table. */
export interface WeightLayout {
  /** Elements in a block. */
  readonly blockSize: number;
  /** Bytes of a block in a file. */
  readonly blockBytes: number;
  readonly planes: readonly PlaneLayout[];
  /** Native halves of `numBlocks` blocks into zeroed planes; absent when planes are the native bytes. */
  readonly repack?: (native: Uint16Array, planes: readonly Uint8Array[], numBlocks: number) => void;
  /** Native halves of whole blocks into `values`, as PyPI's `gguf` computes them. */
  readonly dequantize: (native: Uint16Array, values: Float32Array) => void;
}

const NIBBLES_32 = { name: "quants", bytesPerBlock: 16 } as const;
const NIBBLES_256 = { name: "quants", bytesPerBlock: 128 } as const;

/** Every format. */
export const WEIGHT_FORMATS: Readonly<Record<WeightFormat, WeightLayout>> = {
  f32: {
    blockSize: 1,
    blockBytes: 4,
    planes: [{ name: "values", bytesPerBlock: 4 }],
    dequantize: dequantizeF32,
  },
  f16: {
    blockSize: 1,
    blockBytes: 2,
    planes: [{ name: "values", bytesPerBlock: 2 }],
    dequantize: dequantizeF16,
  },
  bf16: {
    blockSize: 1,
    blockBytes: 2,
    planes: [{ name: "values", bytesPerBlock: 2 }],
    dequantize: dequantizeBf16,
  },
  // Quants: element 8w+i of a block at bits 4i of word w. Scales: f16.
  q4_0: {
    blockSize: 32,
    blockBytes: 18,
    planes: [NIBBLES_32, { name: "scales", bytesPerBlock: 2 }],
    repack: repackQ4v0,
    dequantize: dequantizeQ4v0,
  },
  // Scales: one word a block, f16 d low and f16 m high.
  q4_1: {
    blockSize: 32,
    blockBytes: 20,
    planes: [NIBBLES_32, { name: "scales", bytesPerBlock: 4 }],
    repack: repackQ4v1,
    dequantize: dequantizeQ4v1,
  },
  // Quants: int8 in element order. Scales: f16.
  q8_0: {
    blockSize: 32,
    blockBytes: 34,
    planes: [{ name: "quants", bytesPerBlock: 32 }, { name: "scales", bytesPerBlock: 2 }],
    repack: repackQ8v0,
    dequantize: dequantizeQ8v0,
  },
  // Scales: four words, d | dmin << 16, then the 12 native bytes of 6-bit scales and mins.
  q4_k: {
    blockSize: 256,
    blockBytes: 144,
    planes: [NIBBLES_256, { name: "scales", bytesPerBlock: 16 }],
    repack: repackQ4K,
    dequantize: dequantizeQ4K,
  },
  // Quants: low 4 bits. High: top 2 bits, element 16w+i at bits 2i of word w. Scales: int8 for each
  // 16 elements. d: f16.
  q6_k: {
    blockSize: 256,
    blockBytes: 210,
    planes: [
      NIBBLES_256,
      { name: "high", bytesPerBlock: 64 },
      { name: "scales", bytesPerBlock: 16 },
      { name: "d", bytesPerBlock: 2 },
    ],
    repack: repackQ6K,
    dequantize: dequantizeQ6K,
  },
};

/** Bytes of a [numRows, numCols] tensor in a file. Throws a RangeError when rows split a block. */
export function nativeBytes(format: WeightFormat, numRows: number, numCols: number): number {
  return numRows * blocksPerRow(format, numCols) * WEIGHT_FORMATS[format].blockBytes;
}

/** Bytes of each GPU plane of a [numRows, numCols] tensor, each a multiple of 4. */
export function planeBytes(format: WeightFormat, numRows: number, numCols: number): number[] {
  const layout = WEIGHT_FORMATS[format];
  const numBlocks = blocksPerRow(format, numCols);
  return layout.planes.map(({ bytesPerBlock }) =>
    // Rows of plain values start on a word, so that a row can be read without its neighbours.
    layout.blockSize === 1
      ? numRows * wholeWords(numBlocks * bytesPerBlock)
      : wholeWords(numRows * numBlocks * bytesPerBlock)
  );
}

/**
 * Native row-major `bytes` of [numRows, numCols] as GPU planes. A plane may be a view of `bytes`.
 *
 * Pieces of a tensor give planes that concatenate to the whole tensor's when every piece but the
 * last has an even number of blocks. Throws a RangeError when `bytes` has the wrong length.
 */
export function repack(
  format: WeightFormat,
  bytes: Uint8Array,
  numRows: number,
  numCols: number,
): Uint8Array[] {
  expectLength(bytes, nativeBytes(format, numRows, numCols), format);
  const sizes = planeBytes(format, numRows, numCols);
  const fill = WEIGHT_FORMATS[format].repack;
  if (!fill) return [sizes[0] === bytes.length ? bytes : padRows(bytes, numRows, sizes[0] ?? 0)];
  const planes = sizes.map((size) => new Uint8Array(size));
  fill(asHalves(bytes), planes, numRows * blocksPerRow(format, numCols));
  return planes;
}

/**
 * The first `numElements` values of native `bytes`, bit for bit what PyPI's `gguf` gives. Throws a
 * RangeError when they are not whole blocks or `bytes` has another length.
 */
export function dequantize(
  format: WeightFormat,
  bytes: Uint8Array,
  numElements: number,
): Float32Array {
  expectLength(bytes, nativeBytes(format, 1, numElements), format);
  const values = new Float32Array(numElements);
  WEIGHT_FORMATS[format].dequantize(asHalves(bytes), values);
  return values;
}

function blocksPerRow(format: WeightFormat, numCols: number): number {
  const { blockSize } = WEIGHT_FORMATS[format];
  if (numCols % blockSize !== 0) {
    throw new RangeError(`A row of ${numCols} does not split into "${format}" blocks`);
  }
  return numCols / blockSize;
}

function wholeWords(numBytes: number): number {
  return Math.ceil(numBytes / 4) * 4;
}

function expectLength(bytes: Uint8Array, expected: number, format: WeightFormat): void {
  if (bytes.length === expected) return;
  throw new RangeError(`Expected ${expected} bytes of "${format}", got ${bytes.length}`);
}

/** Every native block is a whole number of halves, so halves reach any block without a copy. */
function asHalves(bytes: Uint8Array): Uint16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length / 2);
}

function padRows(bytes: Uint8Array, numRows: number, paddedBytes: number): Uint8Array {
  const padded = new Uint8Array(paddedBytes);
  const rowBytes = bytes.length / numRows;
  for (let row = 0; row < numRows; row++) {
    padded.set(
      bytes.subarray(row * rowBytes, (row + 1) * rowBytes),
      row * (paddedBytes / numRows),
    );
  }
  return padded;
}
