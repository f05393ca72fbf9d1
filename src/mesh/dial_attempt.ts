import type { PeerLink } from "./peer_link.ts";
import type { SignalExchange } from "./rtc_signal.ts";

/** Who calls whom, and how. */
export interface DialAttemptOptions {
  /** The other side. */
  readonly peerId: string;
  /** Of the side that dials; tells its attempts apart. */
  readonly dialId: string;
  readonly isInitiator: boolean;
  readonly send: (signal: unknown) => void;
  /** Makes the link; called in a microtask. */
  readonly run: (attempt: DialAttempt) => Promise<PeerLink>;
}

/** Signals that are kept until `run` listens. */
const MAX_EARLY_SIGNALS = 64;

/** One attempt to connect to one peer. */
export class DialAttempt implements SignalExchange {
  readonly peerId: string;
  readonly dialId: string;
  readonly isInitiator: boolean;
  readonly send: (signal: unknown) => void;
  /** The link, or that of the attempt which this one gave way to. */
  readonly linked: Promise<PeerLink>;
  readonly #cancelling = new AbortController();
  #successor: DialAttempt | null = null;
  readonly #early: unknown[] = [];
  #onSignal: ((signal: unknown) => void) | null = null;

  constructor({ peerId, dialId, isInitiator, send, run }: DialAttemptOptions) {
    this.peerId = peerId;
    this.dialId = dialId;
    this.isInitiator = isInitiator;
    this.send = send;
    this.linked = this.#link(run);
  }

  /** Aborted when the attempt is given up. */
  get signal(): AbortSignal {
    return this.#cancelling.signal;
  }

  listen(onSignal: (signal: unknown) => void): () => void {
    this.#onSignal = onSignal;
    for (const signal of this.#early.splice(0)) onSignal(signal);
    return () => this.#onSignal = null;
  }

  /** Hands over a signal of the other side. */
  take(signal: unknown): void {
    if (this.#onSignal) this.#onSignal(signal);
    else if (this.#early.length < MAX_EARLY_SIGNALS) this.#early.push(signal);
  }

  cancel(reason: string): void {
    this.#cancelling.abort(new Error(reason));
  }

  /** Ends in favour of another attempt to reach the same peer. */
  giveWay(successor: DialAttempt): void {
    this.#successor = successor;
    this.cancel("The other side dialled, too");
  }

  async #link(run: DialAttemptOptions["run"]): Promise<PeerLink> {
    await Promise.resolve();
    try {
      return await run(this);
    } catch (error) {
      if (this.#successor !== null) return await this.#successor.linked;
      throw error;
    }
  }
}
