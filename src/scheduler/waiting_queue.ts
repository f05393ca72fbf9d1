import type { FairShare } from "./fair_share.ts";
import type { LiveSequence } from "./live_sequence.ts";

/** Sequences that wait for blocks. The one that should run next is found when it is asked for. */
export class WaitingQueue implements Iterable<LiveSequence> {
  readonly #share: FairShare;
  readonly #sequences = new Set<LiveSequence>();

  constructor(share: FairShare) {
    this.#share = share;
  }

  get size(): number {
    return this.#sequences.size;
  }

  [Symbol.iterator](): Iterator<LiveSequence> {
    return this.#sequences.values();
  }

  add(sequence: LiveSequence): void {
    this.#sequences.add(sequence);
  }

  /** False when it does not wait. */
  remove(sequence: LiveSequence): boolean {
    return this.#sequences.delete(sequence);
  }

  /** Who should run next, but for those in `passedOver`. */
  next(passedOver?: ReadonlySet<LiveSequence>): LiveSequence | null {
    let first: LiveSequence | null = null;
    for (const sequence of this.#sequences) {
      if (passedOver?.has(sequence)) continue;
      if (first === null || this.#compare(sequence, first) < 0) first = sequence;
    }
    return first;
  }

  /** Interactive ones first, then those that ran before, then who was served least, then by age. */
  #compare(a: LiveSequence, b: LiveSequence): number {
    return compareRunning(a, b) || this.#byShare(a, b) || a.id - b.id;
  }

  #byShare({ terms: a }: LiveSequence, { terms: b }: LiveSequence): number {
    return a.clientId === b.clientId
      ? 0
      : this.#share.served(a.clientId) - this.#share.served(b.clientId);
  }
}

function rankOf({ rank }: LiveSequence): number {
  return rank ?? Number.MAX_SAFE_INTEGER;
}

/** Below 0 when `a`, which runs, goes before `b`: the last one is preempted first. */
export function compareRunning(a: LiveSequence, b: LiveSequence): number {
  return comparePriority(a, b) || rankOf(a) - rankOf(b);
}

function comparePriority({ terms: a }: LiveSequence, { terms: b }: LiveSequence): number {
  return Number(a.priority === "batch") - Number(b.priority === "batch");
}
