/**
 * Native blocks to f32 values, with the roundings of PyPI's `gguf` 0.19 (`gguf.quants`): every
 * product and sum is rounded to f32, in the same order. The reference that kernels are held to.
 *
 * @module
 */
import { f16ToNumber } from "./f16.ts";

const { fround } = Math;

/** Elements are the words themselves. */
export function dequantizeF32(native: Uint16Array, values: Float32Array): void {
  new Uint16Array(values.buffer).set(native);
}

/** Elements are f16, one a half. */
export function dequantizeF16(native: Uint16Array, values: Float32Array): void {
  for (let i = 0; i < values.length; i++) values[i] = f16ToNumber(native[i]!);
}

/** Elements are the top halves of f32 words. */
export function dequantizeBf16(native: Uint16Array, values: Float32Array): void {
  const words = new Uint32Array(values.buffer);
  for (let i = 0; i < words.length; i++) words[i] = native[i]! << 16;
}

/** value = d * (q - 8) */
export function dequantizeQ4v0(native: Uint16Array, values: Float32Array): void {
  for (let at = 0, out = 0; out < values.length; at += 9, out += 32) {
    const d = f16ToNumber(native[at]!);
    for (let i = 0; i < 32; i++) {
      values[out + i] = d * (nibbleAt(native, at + 1, 16, i) - 8);
    }
  }
}

/** value = d * q + m */
export function dequantizeQ4v1(native: Uint16Array, values: Float32Array): void {
  for (let at = 0, out = 0; out < values.length; at += 10, out += 32) {
    const d = f16ToNumber(native[at]!);
    const m = f16ToNumber(native[at + 1]!);
    for (let i = 0; i < 32; i++) {
      values[out + i] = fround(d * nibbleAt(native, at + 2, 16, i)) + m;
    }
  }
}

/** value = q * d */
export function dequantizeQ8v0(native: Uint16Array, values: Float32Array): void {
  for (let at = 0, out = 0; out < values.length; at += 17, out += 32) {
    const d = f16ToNumber(native[at]!);
    for (let i = 0; i < 32; i++) values[out + i] = int8At(native, at + 1, i) * d;
  }
}

/** value = (d * scale) * q - (dmin * min), a 6-bit scale and min for each 32 elements. */
export function dequantizeQ4K(native: Uint16Array, values: Float32Array): void {
  for (let at = 0, out = 0; out < values.length; at += 72, out += 256) {
    const d = f16ToNumber(native[at]!);
    const dmin = f16ToNumber(native[at + 1]!);
    for (let sub = 0; sub < 8; sub++) {
      const { scale, min } = scaleAndMin(native, at + 2, sub);
      const subD = fround(d * scale);
      const subMin = fround(dmin * min);
      for (let i = 0; i < 32; i++) {
        const element = 32 * sub + i;
        const q = nibbleAt(native, at + 8 + 16 * (sub >> 1), 32, element & 63);
        values[out + element] = fround(subD * q) - subMin;
      }
    }
  }
}

/** value = (d * scale) * (q - 32), an int8 scale for each 16 elements. */
export function dequantizeQ6K(native: Uint16Array, values: Float32Array): void {
  for (let at = 0, out = 0; out < values.length; at += 105, out += 256) {
    const d = f16ToNumber(native[at + 104]!);
    for (let i = 0; i < 256; i++) {
      const low = nibbleAt(native, at + 32 * (i >> 7), 64, i & 127);
      const highByte = byteAt(native, at + 64 + 16 * (i >> 7), i & 31);
      const high = (highByte >> (2 * ((i >> 5) & 3))) & 3;
      const scaledD = fround(d * int8At(native, at + 96, i >> 4));
      values[out + i] = scaledD * ((low | (high << 4)) - 32);
    }
  }
}

/** Sub-block `sub`'s 6-bit scale and min out of the 12 bytes at `from`. */
function scaleAndMin(native: Uint16Array, from: number, sub: number) {
  const low = byteAt(native, from, sub & 3);
  const middle = byteAt(native, from, 4 + (sub & 3));
  if (sub < 4) return { scale: low & 63, min: middle & 63 };
  const top = byteAt(native, from, 8 + (sub & 3));
  return { scale: (top & 15) | ((low >> 2) & 48), min: (top >> 4) | ((middle >> 2) & 48) };
}

/** Element of a group of `numBytes` bytes: the first half are low nibbles, the second high ones. */
function nibbleAt(native: Uint16Array, from: number, numBytes: number, element: number): number {
  return element < numBytes
    ? byteAt(native, from, element) & 15
    : byteAt(native, from, element - numBytes) >> 4;
}

function int8At(native: Uint16Array, from: number, index: number): number {
  return (byteAt(native, from, index) << 24) >> 24;
}

function byteAt(native: Uint16Array, from: number, index: number): number {
  return (native[from + (index >> 1)]! >> (8 * (index & 1))) & 255;
}
