/** Ints of one slot: left id, right id, rank, merged id. One slot is 16 bytes: one cache line. */
const SLOT = 4;
const EMPTY = -1;

/**
 * Which two neighbouring symbols merge, in which order, into what. An open-addressing hash table
 * in one typed array: a `Map` keyed by pairs costs ten times the memory and the loading time.
 */
export class MergeTable {
  readonly #slots: Int32Array;
  readonly #mask: number;

  /** Makes room for `numMerges` merges. */
  constructor(numMerges: number) {
    let capacity = 16;
    while (capacity * 2 < numMerges * 3) capacity *= 2;
    this.#slots = new Int32Array(capacity * SLOT).fill(EMPTY);
    this.#mask = capacity - 1;
  }

  /** Adds a merge; the last one wins when a pair comes twice. Lower ranks merge first. */
  set(left: number, right: number, merge: { rank: number; mergedId: number }): void {
    const slot = this.#locate(left, right);
    this.#slots[slot] = left;
    this.#slots[slot + 1] = right;
    this.#slots[slot + 2] = merge.rank;
    this.#slots[slot + 3] = merge.mergedId;
  }

  /** A handle for `rank` and `mergedId`, or -1 when the two never merge. */
  find(left: number, right: number): number {
    const slot = this.#locate(left, right);
    return this.#slots[slot] === EMPTY ? -1 : slot;
  }

  rank(handle: number): number {
    return this.#slots[handle + 2]!;
  }

  mergedId(handle: number): number {
    return this.#slots[handle + 3]!;
  }

  #locate(left: number, right: number): number {
    const slots = this.#slots;
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash ^= hash >>> 15;
    for (let index = hash & this.#mask;; index = (index + 1) & this.#mask) {
      const slot = index * SLOT;
      const found = slots[slot]!;
      if (found === EMPTY || (found === left && slots[slot + 1] === right)) return slot;
    }
  }
}
