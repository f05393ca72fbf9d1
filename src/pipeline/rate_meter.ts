/** Tokens a second over the last few seconds. */
export class RateMeter {
  readonly #windowMs: number;
  /** (time, total) pairs, oldest first. */
  readonly #samples: { readonly ms: number; readonly total: number }[] = [];

  constructor(windowMs = 5_000) {
    this.#windowMs = windowMs;
  }

  /** Notes the running total; one that fell starts anew. */
  record(total: number, ms: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && total < last.total) this.#samples.length = 0;
    this.#samples.push({ ms, total });
    while (this.#samples.length > 2 && this.#samples[1]!.ms <= ms - this.#windowMs) {
      this.#samples.shift();
    }
  }

  get perSecond(): number {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.ms <= first.ms) return 0;
    return (last.total - first.total) / (last.ms - first.ms) * 1000;
  }
}
