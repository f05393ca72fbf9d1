import type { WeightFormat } from "../src/core.ts";
import { WEIGHT_FORMATS } from "../src/formats/weight_format.ts";

/** Bytes of a tile, about. */
const TILE_BYTES = 1 << 20;

/**
 * About 1 MiB of random blocks in a format's native layout: every bit of the quants random, scales
 * such that the values have a standard deviation near 0.02. The number of blocks is odd, so that
 * the rows of a matrix filled with one tile after the other differ.
 */
export function randomTile(format: WeightFormat, seed = 1): Uint8Array<ArrayBuffer> {
  const { blockBytes } = WEIGHT_FORMATS[format];
  const numBlocks = (Math.floor(TILE_BYTES / blockBytes) - 1) | 1;
  const words = new Uint32Array(Math.ceil(numBlocks * blockBytes / 4));
  fillRandom(words, seed);
  const tile = new Uint8Array(words.buffer, 0, numBlocks * blockBytes);
  const view = new DataView(tile.buffer);
  for (let at = 0; at < tile.length; at += blockBytes) SCALE_BLOCK[format](view, at);
  return tile;
}

/** Makes the random block at `at` one of plausible numbers. */
const SCALE_BLOCK: Readonly<Record<WeightFormat, (view: DataView, at: number) => void>> = {
  f32: (view, at) => {
    const bits = view.getUint32(at, true);
    view.setUint32(at, bits & 0x807fffff | exponent(bits, 120) << 23, true);
  },
  bf16: (view, at) => {
    const bits = view.getUint16(at, true);
    view.setUint16(at, bits & 0x807f | exponent(bits, 120) << 7, true);
  },
  f16: (view, at) => {
    const bits = view.getUint16(at, true);
    view.setUint16(at, bits & 0x83ff | exponent(bits, 8) << 10, true);
  },
  q4_0: (view, at) => view.setUint16(at, nearF16(view, at, 0.0045), true),
  q4_1: (view, at) => {
    view.setUint16(at, nearF16(view, at, 0.0045), true);
    view.setUint16(at + 2, nearF16(view, at + 2, 0.034) | 0x8000, true);
  },
  q8_0: (view, at) => view.setUint16(at, nearF16(view, at, 0.00027), true),
  q4_k: (view, at) => {
    view.setUint16(at, nearF16(view, at, 0.00014), true);
    view.setUint16(at + 2, nearF16(view, at + 2, 0.001), true);
  },
  q6_k: (view, at) => {
    for (let i = 192; i < 208; i++) view.setInt8(at + i, view.getInt8(at + i) >> 3);
    view.setUint16(at + 208, nearF16(view, at + 208, 0.00012), true);
  },
};

/** `base` or the exponent below it, by a bit of `bits`. */
function exponent(bits: number, base: number): number {
  return base - (bits & 1);
}

/** A positive f16 between half of `value` and it, its mantissa from the random bits at `at`. */
function nearF16(view: DataView, at: number, value: number): number {
  return (15 + Math.floor(Math.log2(value))) << 10 | view.getUint16(at, true) & 0x3ff;
}

/** Marsaglia's xorshift32. */
function fillRandom(words: Uint32Array, seed: number): void {
  let state = seed * 0x9e3779b9 >>> 0 || 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
}
