import type { Rng } from "../../src/platform/platform.ts";

/**
 * Random numbers of one component (sfc32 of PractRand). A fork depends on the seed and its label
 * alone, so that one component that draws more or less leaves the others as they were.
 */
export class SimRng implements Rng {
  readonly #key: number;
  readonly #state: Uint32Array;

  constructor(seed: number, label = "") {
    this.#key = mixText(seed >>> 0, label);
    this.#state = Uint32Array.of(this.#key, 0x9e3779b9, 0x243f6a88, 1);
    for (let i = 0; i < 12; i++) this.uint32();
  }

  fork(label: string): SimRng {
    return new SimRng(this.#key, label);
  }

  uint32(): number {
    const [a, b, c, counter] = this.#state as unknown as [number, number, number, number];
    const sum = (a + b + counter) >>> 0;
    this.#state[3] = counter + 1;
    this.#state[0] = b ^ (b >>> 9);
    this.#state[1] = c + (c << 3);
    this.#state[2] = ((c << 21) | (c >>> 11)) + sum;
    return sum;
  }

  /** Uniform over [0, 1). */
  float(): number {
    return this.uint32() / 2 ** 32;
  }

  /** Uniform over the integers [min, max]. */
  int(min: number, max: number): number {
    return min + Math.floor(this.float() * (max - min + 1));
  }

  /** As `int`, but small numbers are more frequent: half of them lie in the lowest eighth. */
  small(min: number, max: number): number {
    return min + Math.floor(this.float() ** 3 * (max - min + 1));
  }

  /** As `int`, over the real numbers [min, max). */
  between(min: number, max: number): number {
    return min + this.float() * (max - min);
  }

  chance(probability: number): boolean {
    return this.float() < probability;
  }

  pick<T>(values: readonly T[]): T {
    if (values.length === 0) throw new RangeError("There is nothing to pick from");
    return values[this.int(0, values.length - 1)]!;
  }

  /** A random half, in the order that they had. */
  half<T>(values: readonly T[]): T[] {
    return values.filter(() => this.chance(0.5));
  }
}

/** FNV-1a over a text, starting from `seed`; u32. */
export function mixText(seed: number, text: string): number {
  let state = (seed ^ 0x811c9dc5) >>> 0;
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  return mixNumber(state, text.length);
}

/** One more number into a hash; u32. */
export function mixNumber(state: number, value: number): number {
  let mixed = Math.imul(state ^ (value | 0), 0x2c1b3c6d);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x297a2d39);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}
