import type { Clock } from "../platform/platform.ts";

const PING_EVERY_MS = 500;
const MAX_SILENCE_MS = 2_500;

/** What a link closes with when the other side is gone. */
export const SILENCE_REASON = "No sign of life for 2.5 s";

/** What KeepAlive is made of. */
export interface KeepAliveOptions {
  readonly clock: Clock;
  sendPing(id: number): void;
}

/**
 * Notices that the other side is gone, and measures the round trip to it. Time that this side spent
 * without its event loop turning counts as one interval: what arrived meanwhile was not heard yet.
 */
export class KeepAlive {
  readonly #clock: Clock;
  readonly #sendPing: (id: number) => void;
  #rttMs: number | null = null;
  #silenceMs = 0;
  #pingId = 0;
  #pingedAtMs = 0;

  constructor({ clock, sendPing }: KeepAliveOptions) {
    this.#clock = clock;
    this.#sendPing = sendPing;
  }

  /** Round trip of the latest ping that was answered; null before the first. */
  get rttMs(): number | null {
    return this.#rttMs;
  }

  /** Call when anything arrives. */
  hear(): void {
    this.#silenceMs = 0;
  }

  /** Call when the answer to a ping arrives. Only the latest ping counts. */
  hearPong(id: number): void {
    this.hear();
    if (id === this.#pingId) this.#rttMs = this.#clock.now() - this.#pingedAtMs;
  }

  /**
   * Pings until the other side is silent for too long; rejects when aborted.
   *
   * @param onTick called with every ping
   */
  async run(signal: AbortSignal, onTick: () => void): Promise<void> {
    while (this.#silenceMs < MAX_SILENCE_MS) {
      onTick();
      if (signal.aborted) return;
      const nowMs = this.#clock.now();
      this.#pingId++;
      this.#pingedAtMs = nowMs;
      this.#sendPing(this.#pingId);
      await this.#clock.sleep(PING_EVERY_MS, signal);
      this.#silenceMs += Math.min(this.#clock.now() - nowMs, 2 * PING_EVERY_MS);
    }
  }
}
