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
  /** [numBlocks] Block tables and tree nodes that hold a block; 0 exactly when it is free. */
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

  /** A free block with one reference, or null when there is none. */
  take(): number | null {
    const block = this.#freeBlocks.pop();
    if (block === undefined) return null;
    this.#refCounts[block] = 1;
    return block;
  }

  /** References of a block; 0 when it is free. */
  numReferences(block: number): number {
    const numReferences = this.#refCounts[block];
    if (numReferences === undefined) throw new Error(`Block "${block}" is not in the pool`);
    return numReferences;
  }

  /** Counts one more reference of a block in use. */
  retain(block: number): void {
    this.#refCounts[block] = this.#requireUsed(block) + 1;
  }

  /** Counts one reference less and returns how many are left; with none the block is free. */
  release(block: number): number {
    const numLeft = this.#requireUsed(block) - 1;
    this.#refCounts[block] = numLeft;
    if (numLeft === 0) this.#freeBlocks.push(block);
    return numLeft;
  }

  /** Throws unless each block is either free or in as many of `holders` as it has references. */
  checkIntegrity(holders: Iterable<readonly number[]>): void {
    const numSeen = new Uint32Array(this.numBlocks);
    for (const blocks of holders) {
      for (const block of blocks) {
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
          `Block "${block}" counts ${numReferences} references but has ${numSeen[block]} holders`,
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
  #requireUsed(block: number): number {
    const numReferences = this.numReferences(block);
    if (numReferences === 0) throw new Error(`Block "${block}" is already free`);
    return numReferences;
  }
}
