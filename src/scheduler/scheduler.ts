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
import { checkAdmission } from "./admission.ts";
import { composeBatch } from "./compose_batch.ts";
import { checkDrawn, checkInFlight } from "./integrity.ts";
import { KvMemory } from "./kv_memory.ts";
import {
  appendToken,
  createLiveSequence,
  type LiveSequence,
  markComputed,
} from "./live_sequence.ts";
import type { BatchInFlight } from "./open_batch.ts";
import { checkOptions, longestSequence, type SchedulerOptions } from "./options.ts";
import { Queues } from "./queues.ts";
import { DEFAULT_TERMS, type SequenceTerms } from "./sequence_terms.ts";

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
  readonly #queues: Queues;
  readonly #inFlight = new Map<number, BatchInFlight>();
  #nextSequenceId = 0;
  #nextStepId = 0;
  #numPromptTokens = 0;
  #numGeneratedTokens = 0;

  /** Throws a RangeError when a limit is not a positive integer or two of them contradict. */
  constructor(options: SchedulerOptions) {
    checkOptions(options);
    this.#options = { ...options };
    this.#queues = new Queues(this.#newMemory(options.numBlocks));
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
    this.#queues.add(sequence);
    this.#numPromptTokens += promptTokenIds.length;
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
    const { maxBatchTokens } = this.#options;
    const isAhead = numMicroBatches === 1 && this.#inFlight.size > 0;
    const { maxModelLength } = this;
    const batch = composeBatch(this.#queues, {
      ...{ maxBatchTokens, maxModelLength, numMicroBatches, isAhead },
    });
    if (batch === null) return null;
    const inFlight = batch.close(this.#nextStepId++);
    this.#inFlight.set(inFlight.batch.stepId, inFlight);
    return inFlight.batch;
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
      this.#memory.cacheBlocks(sequence, slice);
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
    for (const { sequence } of this.#land(batch)) this.#queues.preempt(sequence);
  }

  /**
   * What the stages cached is gone: all sequences are prefilled again, the oldest first, in a pool
   * of `numBlocks`. Returns the ids of those that do not fit there and are over. Throws when a batch
   * is in flight.
   */
  restart(numBlocks = this.#memory.size.numBlocks): number[] {
    if (this.#inFlight.size > 0) throw new Error(`${this.#inFlight.size} batches are in flight`);
    for (const sequence of [...this.#running]) this.#queues.preempt(sequence);
    this.#queues.memory = this.#newMemory(numBlocks);
    const { maxModelLength } = this;
    const tooLong = [...this.#queues.waiting].filter(({ tokenIds }) =>
      tokenIds.length >= maxModelLength
    );
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
      numWaiting: this.#queues.waiting.size,
      numFreeBlocks: this.#memory.numFreeBlocks,
      numCachedBlocks: this.#memory.numCachedBlocks,
      numBlocks: this.#memory.size.numBlocks,
      numPromptTokens: this.#numPromptTokens,
      numGeneratedTokens: this.#numGeneratedTokens,
      ...this.#queues.totals,
    };
  }

  /** Throws when queues, blocks and batches in flight contradict each other. */
  checkIntegrity(): void {
    this.#queues.checkIntegrity();
    const numQueued = this.#running.length + this.#queues.waiting.size;
    if (numQueued !== this.#sequences.size) {
      throw new Error(`${numQueued} sequences are queued of ${this.#sequences.size} alive`);
    }
    const { maxBatchTokens } = this.#options;
    checkInFlight({ running: this.#running, inFlight: this.#inFlight, maxBatchTokens });
  }

  get #running(): readonly LiveSequence[] {
    return this.#queues.running;
  }

  get #memory(): KvMemory {
    return this.#queues.memory;
  }

  get #limits(): SchedulerOptions {
    return { ...this.#options, numBlocks: this.#memory.size.numBlocks };
  }

  #newMemory(numBlocks: number): KvMemory {
    const { maxSequences: numSlots, numSavedStates = 0 } = this.#options;
    return new KvMemory({ numBlocks, numSlots, numSavedStates });
  }

  #remove(sequence: LiveSequence): void {
    this.#queues.remove(sequence);
    this.#sequences.delete(sequence.id);
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

  #append(sequence: LiveSequence, drawnId: number): SequenceUpdate {
    const { id: sequenceId, numPrefixTokens: numCachedTokens } = sequence;
    const { maxModelLength } = this;
    const finishReason = appendToken(sequence, { tokenId: drawnId, maxModelLength });
    this.#queues.charge(sequence);
    if (finishReason !== null) this.#remove(sequence);
    const tokenId = finishReason === "stop" ? null : drawnId;
    if (tokenId !== null) this.#numGeneratedTokens++;
    return { sequenceId, tokenId, finishReason, numCachedTokens };
  }

  #requireInFlight(batch: Batch): void {
    if (this.#inFlight.get(batch.stepId)?.batch === batch) return;
    throw new Error(`Step "${batch.stepId}" is not in flight`);
  }
}
