/**
 * States of linear attention, saved at block boundaries: without one, the blocks of a prefix are of
 * no use to a model that has such layers.
 *
 * @module
 */
import type { RadixNode } from "./radix_node.ts";
import { SlotPool } from "./slot_pool.ts";

/** Which saved states belong to which nodes of a radix tree. */
export class SavedStates {
  readonly #pool: SlotPool;
  /** Nodes that have one, longest unused first. */
  readonly #nodes = new Set<RadixNode>();
  /** To be written by a step in flight. */
  readonly #reserved = new Set<number>();

  constructor(numSavedStates: number) {
    this.#pool = new SlotPool(numSavedStates);
  }

  /** The model has linear attention. */
  get isUsed(): boolean {
    return this.#pool.size > 0;
  }

  /**
   * A state for the next step to write, taken from the node that is longest unused if need be:
   * stages run batches in order, so whoever reads it in a batch before still can. Null when steps
   * in flight write all of them.
   */
  reserve(): number | null {
    if (this.#pool.numFree === 0) {
      const [oldest] = this.#nodes;
      if (oldest === undefined) return null;
      this.drop(oldest);
    }
    const state = this.#pool.take();
    if (state !== null) this.#reserved.add(state);
    return state;
  }

  /** The step that was to write it did not come back, or nobody wants it. */
  cancel(state: number): void {
    if (!this.#reserved.delete(state)) throw new Error(`Saved state "${state}" is not reserved`);
    this.#pool.give(state);
  }

  /** A reserved state was written: it is the node's from here on, unless that has one. */
  attach(state: number, node: RadixNode): void {
    if (node.savedState !== null) return this.cancel(state);
    this.#reserved.delete(state);
    node.savedState = state;
    this.#nodes.add(node);
  }

  /** The node's state is about to be read. */
  use(node: RadixNode): void {
    if (this.#nodes.delete(node)) this.#nodes.add(node);
  }

  /** Gives up the node's state, if it has one. */
  drop(node: RadixNode): void {
    if (node.savedState === null) return;
    this.#nodes.delete(node);
    this.#pool.give(node.savedState);
    node.savedState = null;
  }

  /** Throws unless each state is free, of one of `nodes`, or reserved by one of `reserved`. */
  checkIntegrity(nodes: readonly RadixNode[], reserved: readonly number[]): void {
    const owned = nodes.flatMap(({ savedState }) => savedState ?? []);
    this.#pool.checkIntegrity([...owned, ...reserved]);
    const numKnown = nodes.filter((node) => this.#nodes.has(node)).length;
    if (numKnown !== this.#nodes.size || numKnown !== owned.length) {
      throw new Error(`${owned.length} nodes have saved states, ${this.#nodes.size} are known`);
    }
    if (reserved.length !== this.#reserved.size) {
      throw new Error(`${this.#reserved.size} states are reserved, ${reserved.length} are awaited`);
    }
  }
}
