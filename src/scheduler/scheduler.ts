/**
 * Decides what each step runs. CPU only and deterministic: the same calls in the same order give
 * the same batches; no clock, no random numbers, no GPU, no network.
 *
 * The turn is schedule, run, update. Several batches may be in flight, and several slices of one
 * sequence in them. Stages take batches in the order of their step ids, so a block freed while a
 * batch that reads or writes it is in flight may be given out again at once.
 *
 * @module
 */
import type { Batch, BatchSlice, FinishReason, SamplingParams, TokenOutput } from "../core.ts";
import { BLOCK_SIZE } from "../core.ts";
import { checkAdmission } from "./admission.ts";
import { BlockManager, numBlocksFor } from "./block_manager.ts";
import { FairShare } from "./fair_share.ts";
import { type BatchInFlight, checkDrawn, checkIntegrity } from "./integrity.ts";
import {
  appendToken,
  canRunAhead,
  createLiveSequence,
  endRun,
  type LiveSequence,
  markComputed,
  markScheduled,
  nextSlice,
  numUnscheduledTokens,
} from "./live_sequence.ts";
import { checkOptions, longestSequence, type SchedulerOptions } from "./options.ts";
import { PrefixCache, type PrefixMatch } from "./prefix_cache.ts";
import { DEFAULT_TERMS, type SequenceTerms } from "./sequence_terms.ts";
import { sharedLength } from "./shared_length.ts";
import { SlotPool } from "./slot_pool.ts";
import { comparePriority, WaitingQueue } from "./waiting_queue.ts";

/** What a step did to one sequence. */
export interface SequenceUpdate {
  readonly sequenceId: number;
  /** The new token, or null when a stop token ended the sequence. */
  readonly tokenId: number | null;
  /** Set when the sequence is over: its blocks are free and its id is unknown from here on. */
  readonly finishReason: FinishReason | null;
  /** Prompt tokens that were cached when the sequence first ran. */
  readonly numCachedTokens: number;
}

/** Counts as they are now, then totals since the start. */
export interface SchedulerStats {
  readonly numRunning: number;
  readonly numWaiting: number;
  /** Blocks that can be given out, those that only the prefix cache holds among them. */
  readonly numFreeBlocks: number;
  /** Blocks that only the prefix cache holds. */
  readonly numCachedBlocks: number;
  readonly numBlocks: number;
  readonly numPromptTokens: number;
  /** Of the prompt tokens, those that needed no computing. */
  readonly numCachedPromptTokens: number;
  readonly numGeneratedTokens: number;
  readonly numPreemptions: number;
}

/** Queues, blocks and token budget of one pipeline. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #sequences = new Map<number, LiveSequence>();
  /** By priority, then by rank. Each holds blocks and a slot. */
  readonly #running: LiveSequence[] = [];
  readonly #share = new FairShare();
  readonly #waiting = new WaitingQueue(this.#share);
  readonly #slots: SlotPool;
  readonly #inFlight = new Map<number, BatchInFlight>();
  #blocks: BlockManager;
  #cache: PrefixCache;
  #nextSequenceId = 0;
  #nextRank = 0;
  #nextStepId = 0;
  readonly #totals = {
    numPromptTokens: 0,
    numCachedPromptTokens: 0,
    numGeneratedTokens: 0,
    numPreemptions: 0,
  };

  /** Throws a RangeError when a limit is not a positive integer or two of them contradict. */
  constructor(options: SchedulerOptions) {
    checkOptions(options);
    this.#options = { ...options };
    this.#slots = new SlotPool(options.maxSequences);
    this.#blocks = new BlockManager(options.numBlocks);
    this.#cache = new PrefixCache(this.#blocks, options.numSavedStates ?? 0);
  }

  /** Most tokens of one sequence: the model's limit or the pool's, whichever is lower. */
  get maxModelLength(): number {
    return longestSequence(this.#limits);
  }

  /** Throws a RefusedError when such a sequence could never run, however long it waited. */
  check(promptTokenIds: readonly number[], sampling: SamplingParams): void {
    checkAdmission({ promptTokenIds, sampling, options: this.#limits });
  }

  /** Queues a sequence and returns its id. Throws as `check` does. */
  add(
    promptTokenIds: readonly number[],
    sampling: SamplingParams,
    terms: SequenceTerms = DEFAULT_TERMS,
  ): number {
    this.check(promptTokenIds, sampling);
    const id = this.#nextSequenceId++;
    const sequence = createLiveSequence(id, { promptTokenIds, sampling, terms });
    this.#sequences.set(id, sequence);
    this.#share.arrive(terms.clientId);
    this.#waiting.add(sequence);
    this.#totals.numPromptTokens += promptTokenIds.length;
    return id;
  }

  /**
   * The next batch: decodes, then chunks of prompts, then newcomers, in at most `maxBatchTokens`.
   * Null when nothing can run before a batch in flight is updated or a sequence is added. The caller
   * keeps up to `numMicroBatches` in flight, and one more if it is one: decodes are shared out among
   * micro-batches, and where there is only one, the next step is decided before the last one's
   * tokens are known.
   */
  schedule(numMicroBatches = 1): Batch | null {
    const isAhead = numMicroBatches === 1 && this.#inFlight.size > 0;
    if (isAhead && this.#mustWaitForTokens()) return null;
    this.#yieldToInteractive();
    const batch: OpenBatch = {
      slices: [],
      runs: [],
      budget: this.#options.maxBatchTokens,
      // No more than this micro-batch's share, so that no stage idles.
      maxDecodes: Math.ceil(this.#running.length / numMicroBatches),
      isAhead,
    };
    this.#addDecodes(batch);
    this.#addPrefills(batch);
    this.#addNewcomers(batch);
    const { slices, runs } = batch;
    if (slices.length === 0) return null;
    const scheduled = { stepId: this.#nextStepId++, slices };
    this.#inFlight.set(scheduled.stepId, { batch: scheduled, runs });
    return scheduled;
  }

  /**
   * Takes in the tokens that `batch` drew, one for each slice with `sample`, in the order of the
   * slices. To be called in the order of the batches. Returns what became of their sequences,
   * without those aborted or preempted in the meantime. Throws, with nothing changed, when tokens
   * and batch do not match; then call `fail`.
   */
  update(batch: Batch, tokens: readonly TokenOutput[]): SequenceUpdate[] {
    this.#requireInFlight(batch);
    checkDrawn(batch, tokens);
    const outputs = new Map(tokens.map(({ sequenceId, tokenId }) => [sequenceId, tokenId]));
    const updates: SequenceUpdate[] = [];
    for (const { sequence, slice } of this.#land(batch)) {
      markComputed(sequence, slice);
      this.#cacheBlocks(sequence, slice);
      if (slice.sample === undefined) continue;
      updates.push(this.#append(sequence, outputs.get(sequence.id)!));
    }
    return updates;
  }

  /** Ends the sequences of a batch that did not come back. Returns their ids. */
  fail(batch: Batch): number[] {
    this.#requireInFlight(batch);
    const sequences = this.#land(batch).map(({ sequence }) => sequence);
    for (const sequence of sequences) this.#remove(sequence);
    return sequences.map(({ id }) => id);
  }

  /** Takes back a batch whose pipeline was lost: `restart` lets its sequences run again. */
  takeBack(batch: Batch): void {
    this.#requireInFlight(batch);
    for (const { sequence } of this.#land(batch)) this.#preempt(sequence);
  }

  /**
   * What the stages cached is gone: all sequences are prefilled again, the oldest first, in a pool
   * of `numBlocks`. Returns the ids of those that do not fit there and are over. Throws when a batch
   * is in flight.
   */
  restart(numBlocks = this.#blocks.numBlocks): number[] {
    if (this.#inFlight.size > 0) throw new Error(`${this.#inFlight.size} batches are in flight`);
    for (const sequence of [...this.#running]) this.#preempt(sequence);
    this.#blocks = new BlockManager(numBlocks);
    this.#cache = new PrefixCache(this.#blocks, this.#options.numSavedStates ?? 0);
    const { maxModelLength } = this;
    const tooLong = [...this.#waiting].filter(({ tokenIds }) => tokenIds.length >= maxModelLength);
    for (const sequence of tooLong) this.#remove(sequence);
    return tooLong.map(({ id }) => id);
  }

  /** Ends a sequence in any state; its blocks are free at once. False when there is none. */
  abort(sequenceId: number): boolean {
    const sequence = this.#sequences.get(sequenceId);
    if (sequence === undefined) return false;
    this.#remove(sequence);
    return true;
  }

  stats(): SchedulerStats {
    return {
      numRunning: this.#running.length,
      numWaiting: this.#waiting.size,
      numFreeBlocks: this.#cache.numAvailableBlocks,
      numCachedBlocks: this.#cache.numIdleBlocks,
      numBlocks: this.#blocks.numBlocks,
      ...this.#totals,
    };
  }

  /** Throws when queues, blocks and batches in flight contradict each other. */
  checkIntegrity(): void {
    checkIntegrity({
      options: this.#options,
      blocks: this.#blocks,
      cache: this.#cache,
      slots: this.#slots,
      share: this.#share,
      sequences: this.#sequences,
      running: this.#running,
      waiting: [...this.#waiting],
      inFlight: this.#inFlight,
    });
  }

  get #limits(): SchedulerOptions {
    return { ...this.#options, numBlocks: this.#blocks.numBlocks };
  }

  /**
   * Whether a sequence in flight cannot go on before its token is known. Going ahead without it would
   * split those that run into two batches that take turns, at the price of two steps a token.
   */
  #mustWaitForTokens(): boolean {
    return this.#running.some(({ numPendingDraws, tokenCounts }) =>
      numPendingDraws > 0 && tokenCounts !== null
    );
  }

  /** Preempts batch jobs, newest first, where an interactive sequence has no room beside them. */
  #yieldToInteractive(): void {
    const next = this.#waiting.next();
    if (next === null || next.terms.priority === "batch") return;
    while (true) {
      const newest = this.#running.at(-1);
      if (newest?.terms.priority !== "batch" || this.#fits(next, this.#match(next))) return;
      this.#preempt(newest);
    }
  }

  /** Decodes, in the order of running. */
  #addDecodes(batch: OpenBatch): void {
    const { maxModelLength } = this;
    // Preemption takes from the end of the list, so the loop sees it shrink but never skips.
    for (let i = 0; i < this.#running.length && batch.slices.length < batch.maxDecodes; i++) {
      const sequence = this.#running[i]!;
      const isReady = numUnscheduledTokens(sequence) === 1 ||
        batch.isAhead && canRunAhead(sequence, { maxModelLength });
      if (isReady && this.#makeRoom(sequence)) this.#addSlice(batch, sequence);
    }
  }

  /** Further chunks of prompts that have begun. Their blocks are there already. */
  #addPrefills(batch: OpenBatch): void {
    for (const sequence of this.#running) {
      if (batch.budget === 0) return;
      if (numUnscheduledTokens(sequence) > 1) this.#addSlice(batch, sequence);
    }
  }

  /** Admits waiting sequences while all of their known tokens fit in blocks. */
  #addNewcomers(batch: OpenBatch): void {
    const passedOver = new Set<LiveSequence>();
    while (batch.budget > 0) {
      const next = this.#waiting.next(passedOver);
      if (next === null) return;
      const match = this.#match(next);
      if (!this.#fits(next, match)) return;
      if (this.#isPrefixComing(next, match)) {
        passedOver.add(next);
        continue;
      }
      this.#admit(next, match);
      this.#addSlice(batch, next);
    }
  }

  #match({ tokenIds, terms }: LiveSequence): PrefixMatch {
    return this.#cache.match(tokenIds, terms.cacheSalt);
  }

  /**
   * One block is left for each running sequence: it will ask for it within 16 tokens, and taking it
   * back from the newcomer would waste the newcomer's prefill.
   */
  #fits({ tokenIds }: LiveSequence, match: PrefixMatch): boolean {
    const numNew = numBlocksFor(tokenIds.length) - match.node.depth;
    return this.#slots.numFree > 0 &&
      numNew <= this.#cache.numAvailableBeside(match) - this.#running.length;
  }

  /** A running sequence is computing more of the same prefix: soon it need not be done twice. */
  #isPrefixComing(next: LiveSequence, { numTokens }: PrefixMatch): boolean {
    return this.#running.some(({ tokenIds, numPromptTokens, numCachedTokens, terms }) => {
      if (numCachedTokens >= numPromptTokens || terms.cacheSalt !== next.terms.cacheSalt) {
        return false;
      }
      return sharedLength(tokenIds, next.tokenIds.slice(0, -1)) >= numTokens + BLOCK_SIZE;
    });
  }

  #admit(sequence: LiveSequence, match: PrefixMatch): void {
    const { node, tail, numTokens } = match;
    const { tokenIds, blockTable, numPromptTokens } = sequence;
    this.#waiting.remove(sequence);
    blockTable.push(...this.#cache.hold(node));
    this.#cache.states.use(node);
    this.#cache.grow(blockTable, tokenIds.length);
    Object.assign(sequence, {
      prefixNode: node,
      slot: this.#slots.take(),
      numCachedTokens: numTokens,
      numScheduledTokens: numTokens,
      first: {
        blockCopy: tail && { from: tail.block, to: blockTable[node.depth]! },
        restoreFrom: node.savedState,
      },
    });
    if (sequence.rank === null) {
      sequence.rank = this.#nextRank++;
      sequence.numPrefixTokens = Math.min(numTokens, numPromptTokens);
      this.#totals.numCachedPromptTokens += sequence.numPrefixTokens;
      this.#share.charge(sequence.terms.clientId, "prompt", numPromptTokens - numTokens);
    }
    const isAfter = (other: LiveSequence) =>
      (comparePriority(other, sequence) || other.rank! - sequence.rank!) > 0;
    const index = this.#running.findIndex(isAfter);
    this.#running.splice(index < 0 ? this.#running.length : index, 0, sequence);
  }

  #addSlice(batch: OpenBatch, sequence: LiveSequence): void {
    const slice = this.#withStateMoves(
      sequence,
      nextSlice(sequence, this.#endOfSlice(sequence, batch.budget)),
    );
    markScheduled(sequence, slice);
    batch.slices.push(slice);
    batch.runs.push(sequence.run);
    batch.budget -= slice.tokenIds.length;
  }

  /** States can be saved at block boundaries only: long slices end there. */
  #endOfSlice({ tokenIds, numScheduledTokens: start }: LiveSequence, maxTokens: number): number {
    if (start === tokenIds.length) return start + 1;
    const end = Math.min(tokenIds.length, start + maxTokens);
    const boundary = end - end % BLOCK_SIZE;
    return this.#cache.states.isUsed && boundary > start ? boundary : end;
  }

  #withStateMoves(sequence: LiveSequence, slice: BatchSlice): BatchSlice {
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

  /**
   * Gets the block that a sequence's next token needs, preempting the newest sequences for it. False
   * when the sequence is itself the newest.
   */
  #makeRoom(sequence: LiveSequence): boolean {
    while (!this.#cache.grow(sequence.blockTable, sequence.numScheduledTokens + 1)) {
      const newest = this.#running.at(-1)!;
      this.#preempt(newest);
      if (newest === sequence) return false;
    }
    return true;
  }

  /** Back to the queue without blocks; the tokens stay, and are cached as long as nobody else is. */
  #preempt(sequence: LiveSequence): void {
    this.#stopRunning(sequence);
    endRun(sequence);
    this.#waiting.add(sequence);
    this.#totals.numPreemptions++;
  }

  #remove(sequence: LiveSequence): void {
    if (!this.#waiting.remove(sequence)) this.#stopRunning(sequence);
    this.#sequences.delete(sequence.id);
    this.#share.leave(sequence.terms.clientId);
  }

  #stopRunning(sequence: LiveSequence): void {
    this.#running.splice(this.#running.indexOf(sequence), 1);
    this.#cache.release(sequence.blockTable);
    this.#slots.give(sequence.slot!);
    for (const state of sequence.reservedStates.splice(0)) this.#cache.states.cancel(state);
  }

  /** Takes a batch out of flight: its slices whose sequences still run as they did. */
  #land(batch: Batch): { readonly sequence: LiveSequence; readonly slice: BatchSlice }[] {
    const { runs } = this.#inFlight.get(batch.stepId)!;
    this.#inFlight.delete(batch.stepId);
    return batch.slices.flatMap((slice, i) => {
      const sequence = this.#sequences.get(slice.sequenceId);
      return sequence?.run === runs[i] ? [{ sequence: sequence!, slice }] : [];
    });
  }

  /** Blocks that are complete can be shared from here on. */
  #cacheBlocks(sequence: LiveSequence, { stateMoves }: BatchSlice): void {
    const { numCachedTokens: numTokens, terms: { cacheSalt: salt } } = sequence;
    this.#cache.insert(sequence, { numTokens, salt });
    if (stateMoves?.saveTo === undefined) return;
    sequence.reservedStates.shift();
    this.#cache.states.attach(stateMoves.saveTo, sequence.prefixNode);
  }

  #append(sequence: LiveSequence, drawnId: number): SequenceUpdate {
    const { id: sequenceId, numPrefixTokens: numCachedTokens, terms } = sequence;
    const { maxModelLength } = this;
    const finishReason = appendToken(sequence, { tokenId: drawnId, maxModelLength });
    this.#share.charge(terms.clientId, "output", 1);
    if (finishReason !== null) this.#remove(sequence);
    const tokenId = finishReason === "stop" ? null : drawnId;
    if (tokenId !== null) this.#totals.numGeneratedTokens++;
    return { sequenceId, tokenId, finishReason, numCachedTokens };
  }

  #requireInFlight(batch: Batch): void {
    if (this.#inFlight.get(batch.stepId)?.batch === batch) return;
    throw new Error(`Step "${batch.stepId}" is not in flight`);
  }
}

/** A batch while it is being filled. */
interface OpenBatch {
  readonly slices: BatchSlice[];
  /** Parallel to `slices`: the sequences' runs. */
  readonly runs: number[];
  /** Tokens that still fit. */
  budget: number;
  readonly maxDecodes: number;
  /** Tokens that a batch in flight draws can be run. */
  readonly isAhead: boolean;
}
