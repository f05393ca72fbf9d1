import type { Batch, Shard } from "../core.ts";

/**
 * Whose token each slot's newest one is. Kept at the pace of submits: what the device holds when a
 * batch runs is what was submitted before it.
 */
export class DrawnSlots {
  readonly #owners = new Map<number, number>();

  /** Throws a RangeError when a slice takes a token that its sequence did not draw last here. */
  check({ slices }: Batch, { hasEmbedding, hasHead }: Shard): void {
    for (const { sequenceId, slot, takesDrawn } of slices) {
      if (!takesDrawn) continue;
      if (!hasEmbedding || !hasHead) {
        throw new RangeError("Tokens are drawn by another stage than this one");
      }
      if (this.#owners.get(slot) !== sequenceId) {
        throw new RangeError(`Sequence ${sequenceId} drew no token in slot ${slot}`);
      }
    }
  }

  /** To be called when a batch fails: what its sequences drew before is not their newest token. */
  forget({ slices }: Batch): void {
    for (const { sequenceId, slot } of slices) {
      if (this.#owners.get(slot) === sequenceId) this.#owners.delete(slot);
    }
  }

  /** To be called when a batch was submitted. */
  note({ slices }: Batch): void {
    for (const { sequenceId, slot, sample } of slices) {
      if (sample !== undefined) this.#owners.set(slot, sequenceId);
    }
  }
}
