/**
 * A fast 32-bit checksum against mistakes (a slice lost or swapped, a buffer reused too early). Not
 * against attackers: DTLS authenticates every byte below it.
 *
 * Four accumulators take the little-endian words of each 16 bytes in turn, `a = rotl(a ^ w, 15) * p`
 * with odd `p`, so that words are mixed in without waiting for each other; what is left over goes
 * into the first one byte by byte. The accumulators and the length are then folded together and
 * avalanched. Each step is a bijection of its accumulator, so that any single changed word shows.
 *
 * @module
 */

const PRIMES = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f] as const;

/** Checksum of `bytes`, continuing from that of what came before. u32. */
export function checksum32(bytes: Uint8Array, seed = 0): number {
  const [p0, p1, p2, p3] = PRIMES;
  let a = seed ^ p3;
  let b = seed ^ p2;
  let c = seed ^ p1;
  let d = seed ^ p0;
  const words = wordsOf(bytes);
  const numWords = words.length & ~3;
  for (let i = 0; i < numWords; i += 4) {
    a ^= words[i]!;
    a = Math.imul((a << 15) | (a >>> 17), p0);
    b ^= words[i + 1]!;
    b = Math.imul((b << 15) | (b >>> 17), p1);
    c ^= words[i + 2]!;
    c = Math.imul((c << 15) | (c >>> 17), p2);
    d ^= words[i + 3]!;
    d = Math.imul((d << 15) | (d >>> 17), p3);
  }
  for (let i = numWords * 4; i < bytes.length; i++) {
    a ^= bytes[i]!;
    a = Math.imul((a << 15) | (a >>> 17), p0);
  }
  let sum = bytes.length;
  for (const part of [a, b, c, d]) {
    sum = Math.imul(sum ^ part, p1);
    sum ^= sum >>> 15;
  }
  sum = Math.imul(sum ^ (sum >>> 16), p2);
  return (sum ^ (sum >>> 13)) >>> 0;
}

/** The whole words of `bytes`; a copy where they are not aligned. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const isAligned = bytes.byteOffset % 4 === 0;
  const { buffer, byteOffset, length } = isAligned ? bytes : bytes.slice();
  return new Uint32Array(buffer, byteOffset, length >> 2);
}
