/**
 * Holds up to `burst` tokens and gains `ratePerS` of them in a second. Has no clock: the caller says
 * what time it is, in milliseconds.
 */
export class TokenBucket {
  /** Thousandths of a token in a millisecond, that is tokens in a second. */
  readonly #rate: number;
  /** Thousandths, so that whole milliseconds give whole numbers. */
  readonly #full: number;
  #level: number;
  #filledMs: number;

  /** Starts full. */
  constructor({ ratePerS, burst }: { ratePerS: number; burst: number }, nowMs: number) {
    this.#rate = ratePerS;
    this.#full = burst * 1000;
    this.#level = this.#full;
    this.#filledMs = nowMs;
  }

  /** Time until `amount` tokens are there; 0 when they are. More than a full bucket counts as full. */
  waitMs(amount: number, nowMs: number): number {
    this.#fill(nowMs);
    const missing = Math.min(amount * 1000, this.#full) - this.#level;
    return missing <= 0 ? 0 : Math.ceil(missing / this.#rate);
  }

  /** Takes tokens that `waitMs` says are there. */
  take(amount: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#level = Math.max(0, this.#level - amount * 1000);
  }

  #fill(nowMs: number): void {
    const gained = Math.max(0, nowMs - this.#filledMs) * this.#rate;
    this.#level = Math.min(this.#full, this.#level + gained);
    this.#filledMs = Math.max(nowMs, this.#filledMs);
  }
}
