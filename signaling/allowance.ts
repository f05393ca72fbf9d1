import type { SignalingLimits } from "./limits.ts";
import { TokenBucket } from "./token_bucket.ts";

/** What one connection may send: messages and bytes. */
export class Allowance {
  readonly #limits: SignalingLimits;
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;

  constructor(limits: SignalingLimits, nowMs: number) {
    this.#limits = limits;
    this.#messages = new TokenBucket(
      { ratePerS: limits.messagesPerS, burst: limits.burstMessages },
      nowMs,
    );
    this.#bytes = new TokenBucket({ ratePerS: limits.bytesPerS, burst: limits.burstBytes }, nowMs);
  }

  /** Time until a message of `numBytes` is allowed. */
  waitMs(numBytes: number, nowMs: number): number {
    return Math.max(this.#messages.waitMs(1, nowMs), this.#bytes.waitMs(numBytes, nowMs));
  }

  /** Uses it for a message. */
  take(numBytes: number, nowMs: number): void {
    this.#messages.take(1, nowMs);
    this.#bytes.take(numBytes, nowMs);
  }

  /** Time until all of it is there again. */
  refillMs(nowMs: number): number {
    return Math.max(
      this.#messages.waitMs(this.#limits.burstMessages, nowMs),
      this.#bytes.waitMs(this.#limits.burstBytes, nowMs),
    );
  }
}
