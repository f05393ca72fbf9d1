/**
 * SHA-256 of a stream. The web platform hashes only what fits in memory at once, and weights do
 * not. FIPS 180-4.
 *
 * @module
 */

// First 32 bits of the fractional parts of the cube roots of the first 64 primes.
const ROUND_CONSTANTS = fractionalRoots(64, 1 / 3);

/** A hash that bytes are added to. */
export class Sha256 {
  // The same of the square roots of the first 8.
  readonly #state = fractionalRoots(8, 1 / 2);
  readonly #schedule = new Int32Array(64);
  readonly #block = new Uint8Array(64);
  #numPending = 0;
  #numBytes = 0;

  update(bytes: Uint8Array): void {
    this.#numBytes += bytes.length;
    let at = 0;
    if (this.#numPending > 0) {
      at = Math.min(64 - this.#numPending, bytes.length);
      this.#block.set(bytes.subarray(0, at), this.#numPending);
      this.#numPending += at;
      if (this.#numPending < 64) return;
      this.#compress(this.#block, 0);
      this.#numPending = 0;
    }
    for (; at + 64 <= bytes.length; at += 64) this.#compress(bytes, at);
    this.#block.set(bytes.subarray(at));
    this.#numPending = bytes.length - at;
  }

  /** The hash in 64 hexadecimal digits. Nothing can be added afterwards. */
  digest(): string {
    const numBits = BigInt(this.#numBytes) * 8n;
    const padding = new Uint8Array((this.#numPending < 56 ? 64 : 128) - this.#numPending);
    padding[0] = 0x80;
    new DataView(padding.buffer).setBigUint64(padding.length - 8, numBits);
    this.update(padding);
    return [...this.#state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #compress(bytes: Uint8Array, from: number): void {
    const w = this.#schedule;
    for (let i = 0, at = from; i < 16; i++, at += 4) {
      w[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    }
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15]!;
      const y = w[i - 2]!;
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16]! + s0 + w[i - 7]! + s1) | 0;
    }
    const state = this.#state;
    let a = state[0]!, b = state[1]!, c = state[2]!, d = state[3]!;
    let e = state[4]!, f = state[5]!, g = state[6]!, h = state[7]!;
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND_CONSTANTS[i]! + w[i]!) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0]! += a;
    state[1]! += b;
    state[2]! += c;
    state[3]! += d;
    state[4]! += e;
    state[5]! += f;
    state[6]! += g;
    state[7]! += h;
  }
}

function fractionalRoots(count: number, power: number): Int32Array {
  const words = new Int32Array(count);
  for (let found = 0, candidate = 2; found < count; candidate++) {
    let isPrime = true;
    for (let i = 2; i * i <= candidate; i++) if (candidate % i === 0) isPrime = false;
    if (isPrime) words[found++] = ((candidate ** power) % 1) * 2 ** 32;
  }
  return words;
}
