import { FairShare } from "./fair_share.ts";
import { checkQueues } from "./integrity.ts";
import type { KvMemory } from "./kv_memory.ts";
import type { LiveSequence } from "./live_sequence.ts";
import type { PrefixMatch } from "./prefix_cache.ts";
import { compareRunning, WaitingQueue } from "./waiting_queue.ts";

/** Where each living sequence is: it waits without memory, or runs and holds some. */
export class Queues {
  /** For those that run; another one when the stages' memory is another. */
  memory: KvMemory;
  readonly #running: LiveSequence[] = [];
  readonly #share = new FairShare();
  readonly #waiting = new WaitingQueue(this.#share);
  #nextRank = 0;
  #numCachedPromptTokens = 0;
  #numPreemptions = 0;

  constructor(memory: KvMemory) {
    this.memory = memory;
  }

  /** By priority, then by rank. */
  get running(): readonly LiveSequence[] {
    return this.#running;
  }

  get waiting(): Pick<WaitingQueue, "next" | "size"> & Iterable<LiveSequence> {
    return this.#waiting;
  }

  /** Totals since the start. */
  get totals() {
    return {
      numCachedPromptTokens: this.#numCachedPromptTokens,
      numPreemptions: this.#numPreemptions,
    };
  }

  /** A sequence that has just arrived waits. */
  add(sequence: LiveSequence): void {
    this.#share.arrive(sequence.terms.clientId);
    this.#waiting.add(sequence);
  }

  /** A waiting sequence that fits runs. */
  admit(sequence: LiveSequence, match: PrefixMatch): void {
    const { numPromptTokens, terms: { clientId } } = sequence;
    this.#waiting.remove(sequence);
    this.memory.admit(sequence, match);
    if (sequence.rank === null) {
      sequence.rank = this.#nextRank++;
      sequence.numPrefixTokens = match.numTokens;
      this.#numCachedPromptTokens += match.numTokens;
      this.#share.charge(clientId, "prompt", numPromptTokens - match.numTokens);
    }
    const index = this.#running.findIndex((other) => compareRunning(other, sequence) > 0);
    this.#running.splice(index < 0 ? this.#running.length : index, 0, sequence);
  }

  /** A running sequence waits again; its tokens stay, and are cached as long as they can be. */
  preempt(sequence: LiveSequence): void {
    this.#stopRunning(sequence);
    this.#waiting.add(sequence);
    this.#numPreemptions++;
  }

  /** A sequence drew a token. */
  charge({ terms }: LiveSequence): void {
    this.#share.charge(terms.clientId, "output", 1);
  }

  /** A sequence is over, wherever it is. */
  remove(sequence: LiveSequence): void {
    if (!this.#waiting.remove(sequence)) this.#stopRunning(sequence);
    this.#share.leave(sequence.terms.clientId);
  }

  /** Throws when the queues contradict themselves or the memory. */
  checkIntegrity(): void {
    const [running, waiting] = [this.#running, [...this.#waiting]];
    checkQueues({ running, waiting });
    this.memory.checkIntegrity(running);
    this.#share.checkIntegrity([...running, ...waiting].map(({ terms }) => terms.clientId));
  }

  #stopRunning(sequence: LiveSequence): void {
    this.#running.splice(this.#running.indexOf(sequence), 1);
    this.memory.release(sequence);
  }
}
