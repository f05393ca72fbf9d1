/**
 * What a stage of hash chains remembers between batches. Everything starts from numbers that look
 * like nothing: a place that is read before it was written changes every later token.
 *
 * @module
 */
import { type Batch, type BatchSlice, BLOCK_SIZE } from "../../src/core.ts";
import { hash } from "./hash.ts";

/** K and V of one stage: a hash in each slot of each block. */
export class HashPool {
  readonly #slots: Uint32Array;

  constructor(numBlocks: number) {
    this.#slots = Uint32Array.from(
      { length: numBlocks * BLOCK_SIZE },
      (_, slot) => hash(slot, 77),
    );
  }

  /** Makes the copies of `batch`, in the order of its slices. */
  copyBlocks({ slices }: Batch): void {
    for (const { blockCopy } of slices) {
      if (blockCopy === undefined) continue;
      const { from, to } = blockCopy;
      this.#check(from);
      this.#check(to);
      this.#slots.copyWithin(to * BLOCK_SIZE, from * BLOCK_SIZE, (from + 1) * BLOCK_SIZE);
    }
  }

  write(slice: BatchSlice, position: number, value: number): void {
    this.#slots[this.#slotOf(slice, position)] = value;
  }

  /** Folds `start` over the slots of positions [0, end) of the slice's sequence. */
  fold(slice: BatchSlice, end: number, start: number): number {
    let value = start;
    for (let p = 0; p < end; p++) value = hash(value, this.#slots[this.#slotOf(slice, p)]!);
    return value;
  }

  #slotOf({ blockTable }: BatchSlice, position: number): number {
    const block = blockTable[Math.floor(position / BLOCK_SIZE)];
    if (block === undefined) throw new Error(`Position "${position}" has no block`);
    this.#check(block);
    return block * BLOCK_SIZE + position % BLOCK_SIZE;
  }

  #check(block: number): void {
    if (block < this.#slots.length / BLOCK_SIZE) return;
    throw new Error(`Block "${block}" is outside the pool`);
  }
}

/** States as linear attention has them: one for each running sequence, and saved ones. */
export class HashStates {
  readonly #running = new Map<number, number>();
  readonly #saved = new Map<number, number>();

  /** To be called before the tokens of a slice. */
  start({ slot, startPosition, stateMoves }: BatchSlice): void {
    const saved = stateMoves?.restoreFrom;
    if (saved !== undefined) this.#running.set(slot, this.#saved.get(saved) ?? hash(saved, 79));
    else if (startPosition === 0) this.#running.set(slot, EMPTY_STATE);
  }

  /** Takes `input` in; returns the state after it. */
  fold({ slot }: BatchSlice, input: number): number {
    const state = hash(this.#running.get(slot) ?? hash(slot, 78), input);
    this.#running.set(slot, state);
    return state;
  }

  /** To be called after the tokens of a slice. */
  end({ slot, stateMoves }: BatchSlice): void {
    const saved = stateMoves?.saveTo;
    if (saved !== undefined) this.#saved.set(saved, this.#running.get(slot)!);
  }
}

/** State of a sequence without tokens. */
export const EMPTY_STATE = 0;

/** The token that was drawn last in each slot, and by whom. */
export class DrawnTokens {
  readonly #bySlot = new Map<number, { readonly sequenceId: number; readonly tokenId: number }>();

  /** The batch with its tokens filled in. Throws when one was not drawn by its slice's sequence. */
  fillIn(batch: Batch): Batch {
    const slices = batch.slices.map(({ takesDrawn, ...slice }) => {
      if (!takesDrawn) return slice;
      const { sequenceId, slot, tokenIds } = slice;
      const drawn = this.#bySlot.get(slot);
      if (tokenIds.length !== 1 || drawn?.sequenceId !== sequenceId) {
        throw new Error(`Sequence "${sequenceId}" drew no token in slot "${slot}"`);
      }
      return { ...slice, tokenIds: Uint32Array.of(drawn.tokenId) };
    });
    return { ...batch, slices };
  }

  keep({ slot, sequenceId }: BatchSlice, tokenId: number): void {
    this.#bySlot.set(slot, { sequenceId, tokenId });
  }
}
