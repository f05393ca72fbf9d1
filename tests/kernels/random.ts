import { f16ToNumber } from "../../src/formats/f16.ts";

/** Reproducible random numbers (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let bits = this.#state;
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return (bits ^ (bits >>> 14)) >>> 0;
  }

  /** An integer of [0, end). */
  below(end: number): number {
    return Math.floor(this.uint32() / 2 ** 32 * end);
  }

  /** f32 numbers of (-scale, scale). */
  floats(count: number, scale = 1): Float32Array<ArrayBuffer> {
    return new Float32Array(count).map(() => (this.uint32() / 2 ** 31 - 1) * scale);
  }

  bytes(count: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(count).map(() => this.uint32() & 255);
  }

  /** Bits of an f16 number of [2^-6, 2) with either sign. */
  half(): number {
    const bits = this.uint32();
    return (bits & 0x83ff) | ((9 + (bits >>> 16) % 7) << 10);
  }

  /** f16 numbers: their bits, and their values. */
  halves(count: number) {
    const bits = new Uint16Array(count).map(() => this.half());
    return { bits, values: Float32Array.from(bits, f16ToNumber) };
  }

  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [result[i], result[j]] = [result[j]!, result[i]!];
    }
    return result;
  }
}
