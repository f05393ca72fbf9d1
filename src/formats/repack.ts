/**
 * Native quantised blocks to GPU planes. Each function is the `repack` of a row of the table in
 * weight_format.ts, where the plane layouts are stated. Models of many gigabytes stream through
 * here, so the loops work on halves and words and allocate nothing.
 *
 * @module
 */

/** Block of 9 halves: d, then 16 bytes of nibbles. */
export function repackQ4v0(
  native: Uint16Array,
  planes: readonly Uint8Array[],
  numBlocks: number,
): void {
  const quants = wordsOf(planes[0]!);
  const scales = halvesOf(planes[1]!);
  for (let block = 0, at = 0; block < numBlocks; block++, at += 9) {
    scales[block] = native[at]!;
    orderNibbles(native, at + 1, 8, quants, block * 4);
  }
}

/** Block of 10 halves: d, m, then 16 bytes of nibbles. */
export function repackQ4v1(
  native: Uint16Array,
  planes: readonly Uint8Array[],
  numBlocks: number,
): void {
  const quants = wordsOf(planes[0]!);
  const scales = halvesOf(planes[1]!);
  for (let block = 0, at = 0; block < numBlocks; block++, at += 10) {
    scales[2 * block] = native[at]!;
    scales[2 * block + 1] = native[at + 1]!;
    orderNibbles(native, at + 2, 8, quants, block * 4);
  }
}

/** Block of 17 halves: d, then 32 int8. */
export function repackQ8v0(
  native: Uint16Array,
  planes: readonly Uint8Array[],
  numBlocks: number,
): void {
  const quants = wordsOf(planes[0]!);
  const scales = halvesOf(planes[1]!);
  for (let block = 0, at = 0, word = 0; block < numBlocks; block++) {
    scales[block] = native[at++]!;
    for (const end = at + 16; at < end; at += 2) {
      quants[word++] = native[at]! | (native[at + 1]! << 16);
    }
  }
}

/** Block of 72 halves: d, dmin, 12 bytes of scales, then 4 groups of 32 bytes of nibbles. */
export function repackQ4K(
  native: Uint16Array,
  planes: readonly Uint8Array[],
  numBlocks: number,
): void {
  const quants = wordsOf(planes[0]!);
  const scales = halvesOf(planes[1]!);
  for (let block = 0, at = 0; block < numBlocks; block++, at += 72) {
    for (let i = 0; i < 8; i++) scales[8 * block + i] = native[at + i]!;
    for (let group = 0; group < 4; group++) {
      orderNibbles(native, at + 8 + 16 * group, 16, quants, 32 * block + 8 * group);
    }
  }
}

/** Block of 105 halves: 2 groups of 64 bytes of nibbles, 2 groups of 32 bytes of 2-bit tops, 16 int8, d. */
export function repackQ6K(
  native: Uint16Array,
  planes: readonly Uint8Array[],
  numBlocks: number,
): void {
  const quants = wordsOf(planes[0]!);
  const high = wordsOf(planes[1]!);
  const scales = halvesOf(planes[2]!);
  const d = halvesOf(planes[3]!);
  for (let block = 0, at = 0; block < numBlocks; block++, at += 105) {
    orderNibbles(native, at, 32, quants, 32 * block);
    orderNibbles(native, at + 32, 32, quants, 32 * block + 16);
    orderPairs(native, at + 64, high, 16 * block);
    orderPairs(native, at + 80, high, 16 * block + 8);
    for (let i = 0; i < 8; i++) scales[8 * block + i] = native[at + 96 + i]!;
    d[block] = native[at + 104]!;
  }
}

/**
 * A native group keeps its first half of elements in the low nibbles of its bytes and its second
 * half in the high ones. Writes them in element order, 8 to a word: `numHalves / 2` words.
 */
function orderNibbles(
  native: Uint16Array,
  from: number,
  numHalves: number,
  words: Uint32Array,
  to: number,
): void {
  const highAt = to + numHalves / 4;
  for (let i = 0, at = from; i < numHalves / 4; i++, at += 4) {
    const first = native[at]! | (native[at + 1]! << 16);
    const second = native[at + 2]! | (native[at + 3]! << 16);
    words[to + i] = lowNibbles(first) | (lowNibbles(second) << 16);
    words[highAt + i] = lowNibbles(first >>> 4) | (lowNibbles(second >>> 4) << 16);
  }
}

/** The low nibbles of 4 bytes, side by side in 16 bits. */
function lowNibbles(word: number): number {
  let bits = word & 0x0f0f0f0f;
  bits = (bits | (bits >>> 4)) & 0x00ff00ff;
  return (bits | (bits >>> 8)) & 0xffff;
}

/**
 * A group of 32 bytes keeps elements 32s+i at bits 2s of byte i. Writes 128 of them in element
 * order, 16 to a word: 8 words.
 */
function orderPairs(native: Uint16Array, from: number, words: Uint32Array, to: number): void {
  for (let half = 0; half < 2; half++) {
    const at = from + 8 * half;
    const a = native[at]! | (native[at + 1]! << 16);
    const b = native[at + 2]! | (native[at + 3]! << 16);
    const c = native[at + 4]! | (native[at + 5]! << 16);
    const d = native[at + 6]! | (native[at + 7]! << 16);
    for (let shift = 0; shift < 8; shift += 2) {
      words[to + shift + half] = lowPairs(a >>> shift) | (lowPairs(b >>> shift) << 8) |
        (lowPairs(c >>> shift) << 16) | (lowPairs(d >>> shift) << 24);
    }
  }
}

/** The low 2 bits of 4 bytes, side by side in 8 bits. */
function lowPairs(word: number): number {
  let bits = word & 0x03030303;
  bits = (bits | (bits >>> 6)) & 0x000f000f;
  return (bits | (bits >>> 12)) & 0xff;
}

function wordsOf(plane: Uint8Array): Uint32Array {
  return new Uint32Array(plane.buffer, plane.byteOffset, plane.length / 4);
}

function halvesOf(plane: Uint8Array): Uint16Array {
  return new Uint16Array(plane.buffer, plane.byteOffset, plane.length / 2);
}
