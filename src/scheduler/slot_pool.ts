/** Numbered places, each taken by one owner at a time. */
export class SlotPool {
  readonly size: number;
  /** A stack: the place given back last is given out first, 0 before all others at the start. */
  readonly #free: number[];
  readonly #isFree: boolean[];

  constructor(size: number) {
    this.size = size;
    this.#free = Array.from({ length: size }, (_, i) => size - 1 - i);
    this.#isFree = new Array(size).fill(true);
  }

  get numFree(): number {
    return this.#free.length;
  }

  /** A free place, or null when all are taken. */
  take(): number | null {
    const slot = this.#free.pop();
    if (slot === undefined) return null;
    this.#isFree[slot] = false;
    return slot;
  }

  give(slot: number): void {
    if (this.#isFree[slot] !== false) throw new Error(`Slot "${slot}" is not taken`);
    this.#isFree[slot] = true;
    this.#free.push(slot);
  }

  /** Throws unless exactly `owned`, each once, are taken. */
  checkIntegrity(owned: Iterable<number>): void {
    const taken = new Set<number>();
    for (const slot of owned) {
      if (taken.has(slot)) throw new Error(`Slot "${slot}" has two owners`);
      if (this.#isFree[slot] !== false) throw new Error(`Slot "${slot}" is owned but free`);
      taken.add(slot);
    }
    if (taken.size + this.#free.length !== this.size) {
      throw new Error(`${taken.size} slots are owned and ${this.numFree} free of ${this.size}`);
    }
  }
}
