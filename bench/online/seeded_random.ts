/**
 * Random numbers that a seed decides, the same ones on every machine: the finalizer of MurmurHash3
 * over a counter. Streams of one seed do not repeat each other.
 */
export class SeededRandom {
  #state: number;

  constructor(seed: number, stream = 0) {
    this.#state = mix(mix(seed) + stream);
  }

  /** Integers of [low, high), each as likely as the others. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.#uniform() * (high - low));
  }

  /** The wait for an event that comes once in `mean` on average, whatever was before: Poisson. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.#uniform());
  }

  /** [0, 1). */
  #uniform(): number {
    this.#state = this.#state + 0x9e3779b9 >>> 0;
    return mix(this.#state) / 2 ** 32;
  }
}

function mix(value: number): number {
  let bits = value >>> 0;
  bits = Math.imul(bits ^ bits >>> 16, 0x85ebca6b);
  bits = Math.imul(bits ^ bits >>> 13, 0xc2b2ae35);
  return (bits ^ bits >>> 16) >>> 0;
}
