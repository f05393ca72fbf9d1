/**
 * Which opened messages are new.
 *
 * A signaling server, or anyone between, cannot read or change messages, but can keep them and send
 * them again. Against that every peer names each of its runs at random and counts its messages:
 *
 * - A message of a run that was heard of is taken only when its number is above the last one's, and
 *   a new run of the same sender only when it started later than the one known.
 * - A message to one peer names the run of the recipient that it is for, once the sender heard of
 *   it. Recorded messages are worthless in the recipient's next run, whatever the clocks say.
 * - A message to everyone can name no run. Its time must be within 10 minutes of the recipient's
 *   wall clock, before or after, since peers' clocks may be off by minutes.
 *
 * What is left: announcements of the last 10 minutes can be shown once to a peer that has just
 * started, which then dials somebody who is gone; and messages can be held back or lost, which is
 * why dials have deadlines. Neither lets anyone in: links prove both ends' keys by themselves.
 *
 * @module
 */
import type { OpenedMessage } from "./envelope.ts";

/** Farthest that the time of a message may be from the recipient's, in ms. */
export const MAX_CLOCK_DIFFERENCE_MS = 10 * 60_000;

/** What is remembered of a sender. */
interface SenderRun {
  readonly run: string;
  readonly startedMs: number;
  readonly seq: number;
}

/** Remembers the senders of a room, the 1,024 heard last: four times what a server lets in. */
export class ReplayGuard {
  readonly #ownRun: string;
  readonly #capacity: number;
  /** Peer id to its latest run; who was heard last comes last. */
  readonly #senders = new Map<string, SenderRun>();

  /** `ownRun` names the recipient's run. */
  constructor(ownRun: string, options: { readonly capacity?: number } = {}) {
    this.#ownRun = ownRun;
    this.#capacity = options.capacity ?? 1024;
  }

  /** The run of a peer that messages to it are for; null when it was not heard of. */
  runOf(peerId: string): string | null {
    return this.#senders.get(peerId)?.run ?? null;
  }

  /**
   * Null when the message is new, which is then remembered; else why it is refused. `dateMs` is
   * the recipient's wall time, ms since 1970.
   */
  admit({ from, stamp }: OpenedMessage, dateMs: number): string | null {
    const { run, startedMs, seq, forRun, timeMs } = stamp;
    if (forRun !== null && forRun !== this.#ownRun) return "it is for an earlier run of this peer";
    if (forRun === null && Math.abs(dateMs - timeMs) > MAX_CLOCK_DIFFERENCE_MS) {
      const minutes = Math.round(Math.abs(dateMs - timeMs) / 60_000);
      const side = timeMs < dateMs ? "ago" : "in the future";
      return `it was made ${minutes} minutes ${side}: set the clocks of both devices`;
    }
    const known = this.#senders.get(from);
    if (known?.run === run && seq <= known.seq) return "it, or a later one, was seen before";
    if (known && known.run !== run && startedMs <= known.startedMs) {
      return "it is of an earlier run of its sender";
    }
    this.#remember(from, { run, startedMs, seq });
    return null;
  }

  #remember(peerId: string, run: SenderRun): void {
    this.#senders.delete(peerId);
    this.#senders.set(peerId, run);
    for (const oldest of this.#senders.keys()) {
      if (this.#senders.size <= this.#capacity) break;
      this.#senders.delete(oldest);
    }
  }
}
