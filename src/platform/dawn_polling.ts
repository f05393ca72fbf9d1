/**
 * Dawn in Deno: fewer polls.
 *
 * What: while a promise of Dawn is open, its Node binding asks `setImmediate` for the next poll with
 * a Node-API function made for that one poll. Node drops those cheaply; in Deno each costs some 25 us
 * after the next garbage collection, all at once. Polling as fast as the event loop turns made
 * decode steps of 0.1 s stop for 4 to 9 s, every fourth step.
 * Evidence: 60 decode steps of SmolLM2 on llvmpipe, 850,000 polls: 1,323 ms a step; 4,300 polls: 112 ms.
 * Here: a poll is held back until the wait it serves is likely over.
 * Delete when: Dawn's AsyncRunner makes its function once (its source has the TODO), or Deno runs
 * Node-API finalizers as cheaply as Node.
 *
 * @module
 */
import { setImmediate as nextTurn } from "node:timers";

/** How a wait is paced: none is open for long without a poll. */
interface Wait {
  readonly startMs: number;
  /** How long the last wait of its kind took; 0 when it is the first. */
  readonly expectedMs: number;
}

/** First poll this far into the expected time, then at every such share of it. */
const LONG = { first: 0.95, repeat: 0.03 };
/**
 * A short wait is mostly the wait for its poll, so that the last one says little: it has to be able
 * to become shorter.
 */
const SHORT = { first: 0.6, repeat: 0.1 };
const SHORT_MS = 2;
/** Without a usable expectation, a poll after each half of the time waited so far. */
const BACKOFF_SHARE = 0.5;
const SHORTEST_MS = 0.05;
const LONGEST_MS = 20;
/** Timers are this coarse; shorter delays turn the event loop instead of sleeping. */
const TIMER_MS = 2;
/** Kinds of waits remembered. */
const MAX_KINDS = 64;

/** Takes over `setImmediate`, through which Dawn polls, once for each process. */
export class DawnPolling {
  readonly #waits = new Set<Wait>();
  readonly #lastMs = new Map<string, number>();

  /** The one of this process, installed at the first call. */
  static install(): DawnPolling {
    const holder = globalThis as { __tesseraPolling?: DawnPolling; setImmediate: unknown };
    if (holder.__tesseraPolling === undefined) {
      const polling = new DawnPolling();
      holder.__tesseraPolling = polling;
      holder.setImmediate = (poll: (...args: unknown[]) => void, ...args: unknown[]) =>
        polling.#schedule(() => poll(...args));
    }
    return holder.__tesseraPolling;
  }

  /** Waits for a promise of Dawn. Waits of one `kind` are expected to last alike. */
  async wait<T>(promise: Promise<T>, kind?: string): Promise<T> {
    const startMs = performance.now();
    const expectedMs = kind === undefined ? 0 : this.#lastMs.get(kind) ?? 0;
    const wait = { startMs, expectedMs };
    this.#waits.add(wait);
    try {
      return await promise;
    } finally {
      this.#waits.delete(wait);
      if (kind !== undefined) this.#remember(kind, performance.now() - startMs);
    }
  }

  #remember(kind: string, elapsedMs: number): void {
    this.#lastMs.delete(kind);
    this.#lastMs.set(kind, elapsedMs);
    const [oldest] = this.#lastMs.keys();
    if (this.#lastMs.size > MAX_KINDS && oldest !== undefined) this.#lastMs.delete(oldest);
  }

  #schedule(poll: () => void): void {
    const nowMs = performance.now();
    let delayMs = LONGEST_MS;
    for (const wait of this.#waits) delayMs = Math.min(delayMs, pollDelayMs(wait, nowMs));
    const dueMs = nowMs + delayMs;
    if (this.#waits.size === 0) nextTurn(poll);
    else if (delayMs > TIMER_MS) setTimeout(() => turnUntil(dueMs, poll), delayMs - TIMER_MS);
    else turnUntil(dueMs, poll);
  }
}

/** Milliseconds from `nowMs` to the next poll that `wait` is worth. */
export function pollDelayMs(wait: Wait, nowMs: number): number {
  const { startMs, expectedMs } = wait;
  const elapsedMs = nowMs - startMs;
  const { first, repeat } = expectedMs < SHORT_MS ? SHORT : LONG;
  const firstMs = expectedMs * first;
  if (elapsedMs < firstMs) return clamp(firstMs - elapsedMs);
  const isDue = elapsedMs < 1.5 * expectedMs;
  return clamp(isDue ? expectedMs * repeat : elapsedMs * BACKOFF_SHARE);
}

function clamp(delayMs: number): number {
  return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, delayMs));
}

/** Turns of the event loop cost no Node-API function. */
function turnUntil(dueMs: number, poll: () => void): void {
  if (performance.now() >= dueMs) poll();
  else nextTurn(() => turnUntil(dueMs, poll));
}
