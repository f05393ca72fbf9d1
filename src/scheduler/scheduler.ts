/**
 * Decides what each step runs. CPU only and deterministic: the same calls in the same order give
 * the same batches; no clock, no random numbers, no GPU, no network.
 *
 * The turn is schedule, run, update. Several batches may be in flight; a sequence is in one of
 * them at most. Stages take batches in the order of their step ids, so a block freed while a batch
 * that reads it is in flight may be given out again at once.
 *
 * @module
 */
import type { Batch, FinishReason, SamplingParams, TokenOutput } from "../core.ts";
import { checkAdmission } from "./admission.ts";
import { BlockManager, numBlocksFor } from "./block_manager.ts";
import { checkIntegrity } from "./integrity.ts";
import {
  appendToken,
  createLiveSequence,
  type LiveSequence,
  nextSlice,
  numUncachedTokens,
} from "./live_sequence.ts";
import { checkOptions, longestSequence, type SchedulerOptions } from "./options.ts";

/** What a step did to one sequence. */
export interface SequenceUpdate {
  readonly sequenceId: number;
  /** The new token, or null when a stop token ended the sequence. */
  readonly tokenId: number | null;
  /** Set when the sequence is over: its blocks are free and its id is unknown from here on. */
  readonly finishReason: FinishReason | null;
}

/** Counts as they are now, then totals since the start. */
export interface SchedulerStats {
  readonly numRunning: number;
  readonly numWaiting: number;
  readonly numFreeBlocks: number;
  readonly numBlocks: number;
  readonly numPromptTokens: number;
  readonly numGeneratedTokens: number;
  readonly numPreemptions: number;
}

/** Queues, blocks and token budget of one pipeline. */
export class Scheduler {
  /** Most tokens of one sequence: the model's limit or the pool's, whichever is lower. */
  readonly maxModelLength: number;
  readonly #options: SchedulerOptions;
  readonly #blocks: BlockManager;
  readonly #sequences = new Map<number, LiveSequence>();
  /** Oldest first, and each one older than all that wait. Holds blocks. */
  readonly #running: LiveSequence[] = [];
  /** Oldest first. Holds no blocks. */
  readonly #waiting: LiveSequence[] = [];
  readonly #inFlight = new Map<number, Batch>();
  #nextSequenceId = 0;
  #nextStepId = 0;
  #numPromptTokens = 0;
  #numGeneratedTokens = 0;
  #numPreemptions = 0;

  /** Throws a RangeError when a limit is not a positive integer or two of them contradict. */
  constructor(options: SchedulerOptions) {
    checkOptions(options);
    this.#options = { ...options };
    this.#blocks = new BlockManager(this.#options.numBlocks);
    this.maxModelLength = longestSequence(this.#options);
  }

  /** Throws a RefusedError when such a sequence could never run, however long it waited. */
  check(promptTokenIds: readonly number[], sampling: SamplingParams): void {
    checkAdmission({ promptTokenIds, sampling, options: this.#options });
  }

  /** Queues a sequence and returns its id. Throws as `check` does. */
  add(promptTokenIds: readonly number[], sampling: SamplingParams): number {
    this.check(promptTokenIds, sampling);
    const sequence = createLiveSequence(this.#nextSequenceId++, { promptTokenIds, sampling });
    this.#sequences.set(sequence.id, sequence);
    this.#waiting.push(sequence);
    this.#numPromptTokens += promptTokenIds.length;
    return sequence.id;
  }

  /**
   * The next batch: decodes, then chunks of prompts, then newcomers, in at most `maxBatchTokens`.
   * Null when nothing can run before a batch in flight is updated or a sequence is added. The caller
   * keeps up to `numMicroBatches` in flight; decodes are shared out among them.
   */
  schedule(numMicroBatches = 1): Batch | null {
    const batch: OpenBatch = {
      stepId: this.#nextStepId,
      slices: [],
      budget: this.#options.maxBatchTokens,
      // No more than this micro-batch's share, so that no stage idles.
      maxDecodes: Math.ceil(this.#running.length / numMicroBatches),
    };
    this.#addDecodes(batch);
    this.#addPrefills(batch);
    this.#addNewcomers(batch);
    const { stepId, slices } = batch;
    if (slices.length === 0) return null;
    this.#nextStepId++;
    const scheduled: Batch = { stepId, slices };
    this.#inFlight.set(stepId, scheduled);
    return scheduled;
  }

  /**
   * Takes in the tokens that `batch` drew, one for each slice with `sample`, in the order of the
   * slices. Returns what became of their sequences, without those aborted in the meantime.
   * Throws, with nothing changed, when tokens and batch do not match; then call `fail`.
   */
  update(batch: Batch, tokens: readonly TokenOutput[]): SequenceUpdate[] {
    if (this.#inFlight.get(batch.stepId) !== batch) throw notInFlight(batch);
    checkDrawn(batch, tokens);
    this.#inFlight.delete(batch.stepId);
    const updates: SequenceUpdate[] = [];
    let numTaken = 0;
    for (const slice of batch.slices) {
      const output = slice.sample === undefined ? undefined : tokens[numTaken++];
      const sequence = this.#sequences.get(slice.sequenceId);
      if (sequence === undefined) continue;
      sequence.inFlightStepId = null;
      sequence.numCachedTokens += slice.tokenIds.length;
      if (output === undefined) continue;
      updates.push(this.#append(sequence, output.tokenId));
    }
    return updates;
  }

  /** Ends the sequences of a batch that did not come back. Returns the ids of those still alive. */
  fail(batch: Batch): number[] {
    if (!this.#inFlight.delete(batch.stepId)) throw notInFlight(batch);
    return batch.slices.map((slice) => slice.sequenceId).filter((id) => this.abort(id));
  }

  /** Takes back a batch whose pipeline was lost: `preemptAll` brings its sequences to run again. */
  takeBack(batch: Batch): void {
    if (!this.#inFlight.delete(batch.stepId)) throw notInFlight(batch);
    for (const { sequenceId } of batch.slices) {
      const sequence = this.#sequences.get(sequenceId);
      if (sequence !== undefined) sequence.inFlightStepId = null;
    }
  }

  /**
   * What the stages cached is gone: all running sequences are prefilled again, the oldest first.
   * Throws when a batch is in flight.
   */
  preemptAll(): void {
    if (this.#inFlight.size > 0) throw new Error(`${this.#inFlight.size} batches are in flight`);
    for (let newest = this.#running.at(-1); newest; newest = this.#running.at(-1)) {
      this.#preempt(newest);
    }
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
      numWaiting: this.#waiting.length,
      numFreeBlocks: this.#blocks.numFreeBlocks,
      numBlocks: this.#blocks.numBlocks,
      numPromptTokens: this.#numPromptTokens,
      numGeneratedTokens: this.#numGeneratedTokens,
      numPreemptions: this.#numPreemptions,
    };
  }

  /** Throws when queues, blocks and batches in flight contradict each other. */
  checkIntegrity(): void {
    checkIntegrity({
      options: this.#options,
      blocks: this.#blocks,
      sequences: this.#sequences,
      running: this.#running,
      waiting: this.#waiting,
      inFlight: this.#inFlight,
    });
  }

  /** Decodes, oldest first. */
  #addDecodes(batch: OpenBatch): void {
    // Preemption takes from the end of the list, so the loop sees it shrink but never skips.
    for (let i = 0; i < this.#running.length && batch.slices.length < batch.maxDecodes; i++) {
      const sequence = this.#running[i]!;
      if (sequence.inFlightStepId !== null || numUncachedTokens(sequence) > 1) continue;
      if (this.#makeRoom(sequence)) this.#addSlice(batch, sequence);
    }
  }

  /** Further chunks of prompts that have begun, oldest first. Their blocks are there already. */
  #addPrefills(batch: OpenBatch): void {
    for (const sequence of this.#running) {
      if (batch.budget === 0) return;
      if (sequence.inFlightStepId !== null || numUncachedTokens(sequence) === 1) continue;
      this.#addSlice(batch, sequence);
    }
  }

  /** Admits waiting sequences while all of their known tokens fit in free blocks. */
  #addNewcomers(batch: OpenBatch): void {
    while (batch.budget > 0 && this.#running.length < this.#options.maxSequences) {
      const sequence = this.#waiting[0];
      if (sequence === undefined) return;
      // One block is left for each running sequence: it will ask for it within 16 tokens, and
      // taking it back from the newcomer would waste the newcomer's prefill.
      const numSpare = this.#blocks.numFreeBlocks - this.#running.length;
      if (numBlocksFor(sequence.tokenIds.length) > numSpare) return;
      this.#blocks.grow(sequence.blockTable, sequence.tokenIds.length);
      this.#waiting.shift();
      this.#running.push(sequence);
      this.#addSlice(batch, sequence);
    }
  }

  #addSlice(batch: OpenBatch, sequence: LiveSequence): void {
    const slice = nextSlice(sequence, batch.budget);
    sequence.inFlightStepId = batch.stepId;
    batch.slices.push(slice);
    batch.budget -= slice.tokenIds.length;
  }

  /**
   * Gets the block that a sequence's newest token needs, preempting the newest sequences for it.
   * False when the sequence has to sit this step out: the newest one is in flight, or is itself.
   */
  #makeRoom(sequence: LiveSequence): boolean {
    while (!this.#blocks.grow(sequence.blockTable, sequence.tokenIds.length)) {
      const newest = this.#running.at(-1)!;
      if (newest.inFlightStepId !== null) return false;
      this.#preempt(newest);
      if (newest === sequence) return false;
    }
    return true;
  }

  /** Back to the front of the queue without blocks; the tokens stay and are prefilled again. */
  #preempt(newest: LiveSequence): void {
    this.#running.pop();
    this.#blocks.release(newest.blockTable);
    newest.numCachedTokens = 0;
    this.#waiting.unshift(newest);
    this.#numPreemptions++;
  }

  #append(sequence: LiveSequence, tokenId: number): SequenceUpdate {
    const { maxModelLength } = this;
    const finishReason = appendToken(sequence, { tokenId, maxModelLength });
    if (finishReason !== null) this.#remove(sequence);
    if (finishReason === "stop") return { sequenceId: sequence.id, tokenId: null, finishReason };
    this.#numGeneratedTokens++;
    return { sequenceId: sequence.id, tokenId, finishReason };
  }

  #remove(sequence: LiveSequence): void {
    // Whoever runs holds blocks, whoever waits holds none.
    const queue = sequence.blockTable.length > 0 ? this.#running : this.#waiting;
    queue.splice(queue.indexOf(sequence), 1);
    this.#sequences.delete(sequence.id);
    this.#blocks.release(sequence.blockTable);
  }
}

/** A batch while it is being filled. */
interface OpenBatch {
  readonly stepId: number;
  readonly slices: Batch["slices"][number][];
  /** Tokens that still fit. */
  budget: number;
  readonly maxDecodes: number;
}

/** Throws unless there is one token for each slice that asked for it, in the same order. */
function checkDrawn(batch: Batch, tokens: readonly TokenOutput[]): void {
  const wanted = batch.slices.filter((slice) => slice.sample !== undefined);
  const wantedIds = wanted.map((slice) => slice.sequenceId).join();
  const drawnIds = tokens.map((token) => token.sequenceId).join();
  if (wantedIds === drawnIds) return;
  throw new Error(
    `Step "${batch.stepId}" drew tokens of sequences "${drawnIds}" instead of "${wantedIds}"`,
  );
}

function notInFlight(batch: Batch): Error {
  return new Error(`Step "${batch.stepId}" is not in flight`);
}
