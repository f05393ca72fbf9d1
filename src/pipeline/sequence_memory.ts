/** Sequences whose state both ends of a pipeline remember. */
export const MAX_REMEMBERED = 4096;

/**
 * State of the sequences that were used last. Whoever uses the same sequences in the same order
 * forgets the same ones, so that the ends of a pipeline need not talk about it.
 */
export class SequenceMemory<State> {
  /** By sequence id, the one that was used longest ago first. */
  readonly #states = new Map<number, State>();

  get(sequenceId: number): State | undefined {
    return this.#states.get(sequenceId);
  }

  /** Remembers `state` as the one that was used last. */
  use(sequenceId: number, state: State): void {
    this.#states.delete(sequenceId);
    this.#states.set(sequenceId, state);
  }

  /** To be called after each batch. */
  forgetOldest(): void {
    for (const sequenceId of this.#states.keys()) {
      if (this.#states.size <= MAX_REMEMBERED) return;
      this.#states.delete(sequenceId);
    }
  }
}
