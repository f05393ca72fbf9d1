import type { Batch, BatchSlice } from "../core.ts";
import type { KvMemory } from "./kv_memory.ts";
import { type LiveSequence, markScheduled, nextSlice } from "./live_sequence.ts";

/** A batch that stages are running. */
export interface BatchInFlight {
  readonly batch: Batch;
  /** For each slice, the run of its sequence that it belongs to. */
  readonly runs: readonly number[];
}

/** A batch while it is being filled. */
export class OpenBatch {
  readonly #memory: KvMemory;
  readonly #slices: BatchSlice[] = [];
  readonly #runs: number[] = [];
  #budget: number;

  constructor(memory: KvMemory, maxTokens: number) {
    this.#memory = memory;
    this.#budget = maxTokens;
  }

  get numSlices(): number {
    return this.#slices.length;
  }

  /** Takes no further token. */
  get isFull(): boolean {
    return this.#budget === 0;
  }

  /** Adds as much of a sequence as there is and fits: tokens it knows, or the one being drawn. */
  add(sequence: LiveSequence): void {
    const { tokenIds, numScheduledTokens: start } = sequence;
    const end = start === tokenIds.length
      ? start + 1
      : this.#memory.sliceEnd(start, Math.min(tokenIds.length, start + this.#budget));
    const slice = this.#memory.withStateMoves(sequence, nextSlice(sequence, end));
    markScheduled(sequence, slice);
    this.#slices.push(slice);
    this.#runs.push(sequence.run);
    this.#budget -= slice.tokenIds.length;
  }

  close(stepId: number): BatchInFlight {
    return { batch: { stepId, slices: this.#slices }, runs: this.#runs };
  }
}
