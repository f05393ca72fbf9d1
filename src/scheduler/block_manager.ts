/**
 * Which KV blocks are free and how often each of the others is referenced. Block ids mean the same
 * slots on every stage: tables are decided here once and travel in the batch.
 *
 * @module
 */
import { BLOCK_SIZE } from "../core.ts";

/** Blocks that `numTokens` consecutive positions from 0 take. */
export function numBlocksFor(numTokens: number): number {
  return Math.ceil(numTokens / BLOCK_SIZE);
}

/** The free list and the reference counts of one KV pool. */
export class BlockManager {
  /** Blocks in the pool, free or not. */
  readonly numBlocks: number;
  /** A stack: the block freed last is given out first, block 0 before all others at the start. */
  readonly #freeBlocks: number[];
  /** [numBlocks] Block tables that hold a block; 0 exactly when it is free. */
  readonly #refCounts: Uint32Array;

  /** Throws a RangeError unless `numBlocks` is a positive integer. */
  constructor(numBlocks: number) {
    if (!Number.isInteger(numBlocks) || numBlocks < 1) {
      throw new RangeError(`A KV pool needs at least 1 block, got "${numBlocks}"`);
    }
    this.numBlocks = numBlocks;
    this.#freeBlocks = Array.from({ length: numBlocks }, (_, i) => numBlocks - 1 - i);
    this.#refCounts = new Uint32Array(numBlocks);
  }

  get numFreeBlocks(): number {
    return this.#freeBlocks.length;
  }

  /**
   * Appends free blocks to `blockTable` until it covers `numTokens` positions. Returns false, with
   * nothing changed, when there are too few.
   */
  grow(blockTable: number[], numTokens: number): boolean {
    const numNew = numBlocksFor(numTokens) - blockTable.length;
    if (numNew > this.#freeBlocks.length) return false;
    for (let i = 0; i < numNew; i++) {
      const block = this.#freeBlocks.pop()!;
      this.#refCounts[block] = 1;
      blockTable.push(block);
    }
    return true;
  }

  /** Counts one more table that holds `blocks`, so that they outlive the tables they are in now. */
  retain(blocks: readonly number[]): void {
    for (const block of blocks) this.#refCounts[block] = this.#numReferences(block) + 1;
  }

  /** Empties `blockTable`; blocks that no other table holds are free again. */
  release(blockTable: number[]): void {
    // Last block first, so that the next table gets them back in the same order.
    for (let block = blockTable.pop(); block !== undefined; block = blockTable.pop()) {
      const numLeft = this.#numReferences(block) - 1;
      this.#refCounts[block] = numLeft;
      if (numLeft === 0) this.#freeBlocks.push(block);
    }
  }

  /** Throws unless each block is either free or in as many of `blockTables` as it has references. */
  checkIntegrity(blockTables: Iterable<readonly number[]>): void {
    const numSeen = new Uint32Array(this.numBlocks);
    for (const table of blockTables) {
      for (const block of table) {
        if (!(block in numSeen)) throw new Error(`Block "${block}" is not in the pool`);
        numSeen[block]!++;
      }
    }
    const isFree = new Uint8Array(this.numBlocks);
    for (const block of this.#freeBlocks) {
      if (isFree[block] === 1) throw new Error(`Block "${block}" is free twice`);
      isFree[block] = 1;
    }
    for (let block = 0; block < this.numBlocks; block++) {
      const numReferences = this.#refCounts[block];
      if (numSeen[block] !== numReferences) {
        throw new Error(
          `Block "${block}" counts ${numReferences} references but is in ${numSeen[block]} tables`,
        );
      }
      if ((isFree[block] === 1) !== (numReferences === 0)) {
        throw new Error(
          `Block "${block}" has ${numReferences} references and free is ${isFree[block]}`,
        );
      }
    }
  }

  /** References of a block in use; a free one here means a double free or a stale table. */
  #numReferences(block: number): number {
    const numReferences = this.#refCounts[block];
    if (numReferences === undefined) throw new Error(`Block "${block}" is not in the pool`);
    if (numReferences === 0) throw new Error(`Block "${block}" is already free`);
    return numReferences;
  }
}
