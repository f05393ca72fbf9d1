import { type BatchSlice, BLOCK_SIZE } from "../core.ts";
import { BlockManager, numBlocksFor } from "./block_manager.ts";
import { endRun, type LiveSequence, startRun } from "./live_sequence.ts";
import { PrefixCache, type PrefixMatch } from "./prefix_cache.ts";
import { SlotPool } from "./slot_pool.ts";

/** How much there is. */
export interface KvMemorySize {
  readonly numBlocks: number;
  readonly numSlots: number;
  /** 0 for a model without linear attention. */
  readonly numSavedStates: number;
}

/** What running sequences hold of the stages' memory: blocks, a slot each, saved states. */
export class KvMemory {
  readonly size: KvMemorySize;
  readonly #blocks: BlockManager;
  readonly #cache: PrefixCache;
  readonly #slots: SlotPool;

  constructor(size: KvMemorySize) {
    this.size = size;
    this.#blocks = new BlockManager(size.numBlocks);
    this.#cache = new PrefixCache(this.#blocks, size.numSavedStates);
    this.#slots = new SlotPool(size.numSlots);
  }

  /** Blocks that can be given out, those that only the prefix cache holds among them. */
  get numFreeBlocks(): number {
    return this.#cache.numAvailableBlocks;
  }

  /** Blocks that only the prefix cache holds. */
  get numCachedBlocks(): number {
    return this.#cache.numIdleBlocks;
  }

  /** The longest prefix of a sequence that need not be computed. */
  match(sequence: LiveSequence): PrefixMatch {
    return this.#cache.match(sequence, sequence.terms.cacheSalt);
  }

  /**
   * Whether all known tokens of a sequence fit in with blocks to spare: beside all others, or in
   * place of `victims`.
   */
  fits(
    { tokenIds }: LiveSequence,
    match: PrefixMatch,
    { numSpareBlocks, victims = [] }: {
      readonly numSpareBlocks: number;
      readonly victims?: readonly LiveSequence[];
    },
  ): boolean {
    const numNew = numBlocksFor(tokenIds.length) - match.node.depth;
    const numFreed = victims.reduce((sum, { blockTable }) => sum + blockTable.length, 0);
    return this.#slots.numFree + victims.length > 0 &&
      numNew <= this.#cache.numAvailableBeside(match) + numFreed - numSpareBlocks;
  }

  /** Gives a sequence that fits its slot and blocks. */
  admit(sequence: LiveSequence, { node, tail, numTokens }: PrefixMatch): void {
    const { tokenIds, blockTable } = sequence;
    blockTable.push(...this.#cache.hold(node));
    this.#cache.states.use(node);
    this.#cache.grow(blockTable, tokenIds.length);
    startRun(sequence, {
      slot: this.#slots.take()!,
      prefixNode: node,
      numCachedTokens: numTokens,
      first: {
        blockCopy: tail && { from: tail.block, to: blockTable[node.depth]! },
        restoreFrom: node.savedState,
      },
    });
  }

  /** Gets the block for a sequence's next token. False when there is none. */
  grow({ blockTable, numScheduledTokens }: LiveSequence): boolean {
    return this.#cache.grow(blockTable, numScheduledTokens + 1);
  }

  /** Where a slice that could go up to `end` should end: states are saved at block boundaries. */
  sliceEnd(start: number, end: number): number {
    const boundary = end - end % BLOCK_SIZE;
    return this.#cache.states.isUsed && boundary > start ? boundary : end;
  }

  /** The slice with what it has to do about the state of linear attention. */
  withStateMoves(sequence: LiveSequence, slice: BatchSlice): BatchSlice {
    const { restoreFrom } = sequence.first;
    const isBoundary = (slice.startPosition + slice.tokenIds.length) % BLOCK_SIZE === 0;
    const saveTo = isBoundary ? this.#cache.states.reserve() : null;
    if (saveTo !== null) sequence.reservedStates.push(saveTo);
    if (saveTo === null && restoreFrom === null) return slice;
    const stateMoves = {
      ...(restoreFrom !== null && { restoreFrom }),
      ...(saveTo !== null && { saveTo }),
    };
    return { ...slice, stateMoves };
  }

  /** A slice was computed: blocks that it completed can be shared from here on. */
  cacheBlocks(sequence: LiveSequence, { stateMoves }: BatchSlice): void {
    const { numCachedTokens: numTokens, terms: { cacheSalt: salt } } = sequence;
    this.#cache.insert(sequence, { numTokens, salt });
    if (stateMoves?.saveTo === undefined) return;
    sequence.reservedStates.shift();
    this.#cache.states.attach(stateMoves.saveTo, sequence.prefixNode);
  }

  /** Takes back all that a running sequence holds. What was cached of it stays while it can. */
  release(sequence: LiveSequence): void {
    this.#cache.release(sequence.blockTable);
    this.#slots.give(sequence.slot!);
    for (const state of sequence.reservedStates.splice(0)) this.#cache.states.cancel(state);
    endRun(sequence);
  }

  /** Throws unless everything is held by one of `running`, by the prefix cache, or by nobody. */
  checkIntegrity(running: readonly LiveSequence[]): void {
    this.#cache.checkIntegrity(
      running.map(({ blockTable }) => blockTable),
      running.flatMap(({ reservedStates }) => reservedStates),
    );
    this.#slots.checkIntegrity(running.map(({ slot }) => slot!));
    for (const { id, blockTable, numCachedTokens, prefixNode } of running) {
      const numComplete = Math.floor(numCachedTokens / BLOCK_SIZE);
      if (prefixNode.depth > numComplete) {
        throw new Error(`Sequence "${id}" shares ${prefixNode.depth} of ${numComplete} blocks`);
      }
      const shared = blockTable.slice(numComplete).find((block) =>
        this.#blocks.numReferences(block) !== 1
      );
      if (shared !== undefined) throw new Error(`Sequence "${id}" writes to block "${shared}"`);
    }
  }
}
