/** A connection's place among those of its network. */
export interface Slot {
  readonly network: string;
  /** When it may be taken again; null while its connection lasts. */
  freeMs: number | null;
}

/**
 * Connections by the network that they come from. A place stays taken until the allowance of its
 * connection would be full again, so that nobody gets a new allowance by coming again.
 */
export class Slots {
  readonly #ofNetwork = new Map<string, Set<Slot>>();

  /** How many are taken. */
  count(network: string, nowMs: number): number {
    const slots = this.#ofNetwork.get(network);
    if (!slots) return 0;
    for (const slot of slots) {
      if (slot.freeMs !== null && slot.freeMs <= nowMs) slots.delete(slot);
    }
    if (slots.size === 0) this.#ofNetwork.delete(network);
    return slots.size;
  }

  take(network: string): Slot {
    const slot: Slot = { network, freeMs: null };
    const slots = this.#ofNetwork.get(network);
    if (slots) slots.add(slot);
    else this.#ofNetwork.set(network, new Set([slot]));
    return slot;
  }

  /** Forgets all that are free. */
  sweep(nowMs: number): void {
    for (const network of this.#ofNetwork.keys()) this.count(network, nowMs);
  }

  has(slot: Slot): boolean {
    return this.#ofNetwork.get(slot.network)?.has(slot) === true;
  }

  /** Those that connections have. */
  get numInUse(): number {
    let num = 0;
    for (const slots of this.#ofNetwork.values()) {
      for (const { freeMs } of slots) if (freeMs === null) num++;
    }
    return num;
  }
}
