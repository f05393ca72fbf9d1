import type { Clock } from "../platform/platform.ts";
import { HttpError } from "./errors.ts";
import { FinishRate } from "./finish_rate.ts";
import type { CompletionEngine } from "./options.ts";
import type { Client } from "./sender.ts";

const RETRY_SECONDS = { least: 1, most: 60 };

/** What a queue is judged by. */
export interface QueueOptions {
  readonly engine: CompletionEngine;
  readonly clock: Clock;
  /** Most sequences that may wait in the engine. */
  readonly maxWaiting: number;
  /** Of one client; less than `maxWaiting` where there may be others. */
  readonly maxWaitingPerClient: number;
}

/** One sequence on its way through the queue. */
export interface Ticket {
  /** It has its first token. */
  start(): void;
  /** It is over; the second call and later ones do nothing. */
  end(): void;
}

/** Who may still join the engine's queue. */
export class Queue {
  readonly #options: QueueOptions;
  readonly #rate: FinishRate;
  /** Sequences without a token by client; no zeros. */
  readonly #numUnstarted = new Map<string, number>();

  constructor(options: QueueOptions) {
    this.#options = options;
    this.#rate = new FinishRate(options.clock);
  }

  /**
   * Throws a 429 unless `numSequences` more may wait, all together. Where none wait, any number may,
   * so that every request can be answered some time.
   */
  requireRoom({ id }: Client, numSequences: number): void {
    const { engine, maxWaiting, maxWaitingPerClient } = this.#options;
    const { numWaiting } = engine.stats();
    if (isTooMany(numWaiting, numSequences, maxWaiting)) {
      throw this.#full(
        `The queue is full: ${numWaiting} sequences are waiting, at most ${maxWaiting} may`,
      );
    }
    // Without a token means waiting or in its prompt: no more of them wait than the engine says.
    const numOwn = Math.min(numWaiting, this.#numUnstarted.get(id) ?? 0);
    if (!isTooMany(numOwn, numSequences, maxWaitingPerClient)) return;
    throw this.#full(
      `${numOwn} of your sequences are waiting, and one client may have ${maxWaitingPerClient} ` +
        "there, half of the queue",
    );
  }

  /** A sequence of the client joins. */
  join({ id }: Client): Ticket {
    this.#rate.begin();
    this.#count(id, 1);
    let state: "unstarted" | "started" | "ended" = "unstarted";
    const start = () => {
      if (state !== "unstarted") return;
      state = "started";
      this.#count(id, -1);
    };
    return {
      start,
      end: () => {
        if (state === "ended") return;
        start();
        state = "ended";
        this.#rate.end();
      },
    };
  }

  #count(clientId: string, change: number): void {
    const count = (this.#numUnstarted.get(clientId) ?? 0) + change;
    if (count === 0) this.#numUnstarted.delete(clientId);
    else this.#numUnstarted.set(clientId, count);
  }

  /** Says when the sequences that wait now will have had their turn, at the pace of late. */
  #full(message: string): HttpError {
    const { least, most } = RETRY_SECONDS;
    const seconds = Math.ceil(this.#rate.secondsFor(this.#options.engine.stats().numWaiting));
    return new HttpError(429, message, {
      code: "queue_full",
      headers: { "retry-after": String(Math.min(most, Math.max(least, seconds))) },
    });
  }
}

function isTooMany(numWaiting: number, numNew: number, limit: number): boolean {
  return numWaiting > 0 && numWaiting + numNew > limit;
}
