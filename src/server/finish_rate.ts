import type { Clock } from "../platform/platform.ts";

/** Ends that are remembered. */
const MAX_ENDS = 64;

/**
 * How fast sequences end, over the last few of them. Time in which none was open does not count, so
 * that a quiet night does not make the server look slow.
 */
export class FinishRate {
  readonly #clock: Clock;
  #numOpen = 0;
  /** Busy time before the current stretch, and when that began. */
  #busyMs = 0;
  #busySinceMs = 0;
  /** Busy time at the start or at a forgotten end, then at each end since. */
  readonly #endsMs = [0];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A sequence begins to wait. */
  begin(): void {
    if (this.#numOpen++ === 0) this.#busySinceMs = this.#clock.now();
  }

  /** One that began is over, for whatever reason. */
  end(): void {
    const busyMs = this.#busyNowMs();
    this.#endsMs.push(busyMs);
    if (this.#endsMs.length > MAX_ENDS + 1) this.#endsMs.shift();
    if (--this.#numOpen === 0) this.#busyMs = busyMs;
  }

  /** Seconds until `numSequences` will have ended; as if one ended now where none did yet. */
  secondsFor(numSequences: number): number {
    const numEnds = Math.max(1, this.#endsMs.length - 1);
    const spanMs = this.#busyNowMs() - this.#endsMs[0]!;
    return numSequences * spanMs / numEnds / 1000;
  }

  #busyNowMs(): number {
    if (this.#numOpen === 0) return this.#busyMs;
    return this.#busyMs + this.#clock.now() - this.#busySinceMs;
  }
}
