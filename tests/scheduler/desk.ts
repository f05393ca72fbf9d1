import { type Batch, DEFAULT_SAMPLING, type SamplingParams } from "../../src/core.ts";
import type { SchedulerOptions } from "../../src/scheduler/options.ts";
import { Scheduler, type SequenceUpdate } from "../../src/scheduler/scheduler.ts";
import { DEFAULT_TERMS, type SequenceTerms } from "../../src/scheduler/sequence_terms.ts";

/** A scheduler that is checked after every call, and what tests do with it. */
export class Desk {
  readonly scheduler: Scheduler;
  readonly #numMicroBatches: number;
  #numAdded = 0;

  constructor(
    { numMicroBatches = 1, ...options }: Partial<SchedulerOptions> & { numMicroBatches?: number } =
      {},
  ) {
    this.#numMicroBatches = numMicroBatches;
    this.scheduler = new Scheduler({
      numBlocks: 64,
      maxModelLength: 512,
      maxBatchTokens: 64,
      maxSequences: 8,
      ...options,
    });
  }

  /** A sequence whose prompt starts like no other's. */
  add(
    numPromptTokens: number,
    sampling: Partial<SamplingParams> = {},
    terms: Partial<SequenceTerms> = {},
  ): number {
    const first = 1000 * this.#numAdded++;
    const prompt = Array.from({ length: numPromptTokens }, (_, i) => first + i);
    return this.addPrompt(prompt, sampling, terms);
  }

  addPrompt(
    prompt: readonly number[],
    sampling: Partial<SamplingParams> = {},
    terms: Partial<SequenceTerms> = {},
  ): number {
    const all = { ...DEFAULT_SAMPLING, ...sampling };
    const id = this.scheduler.add(prompt, all, { ...DEFAULT_TERMS, ...terms });
    this.scheduler.checkIntegrity();
    return id;
  }

  schedule(): Batch {
    const batch = this.scheduleOrNull();
    if (batch === null) throw new Error("Nothing to run");
    return batch;
  }

  scheduleOrNull(): Batch | null {
    const batch = this.scheduler.schedule(this.#numMicroBatches);
    this.scheduler.checkIntegrity();
    return batch;
  }

  /** The pipeline is lost, with these batches in flight. */
  lose(...batches: readonly Batch[]): void {
    for (const batch of batches) this.scheduler.takeBack(batch);
    this.scheduler.checkIntegrity();
    this.scheduler.restart();
    this.scheduler.checkIntegrity();
  }

  /** Every sequence that sampled gets `tokenId`. */
  update(batch: Batch, tokenId = 100): SequenceUpdate[] {
    const tokens = batch.slices.filter((slice) => slice.sample !== undefined)
      .map(({ sequenceId }) => ({ sequenceId, tokenId }));
    const updates = this.scheduler.update(batch, tokens);
    this.scheduler.checkIntegrity();
    return updates;
  }

  step(tokenId?: number): Batch {
    const batch = this.schedule();
    this.update(batch, tokenId);
    return batch;
  }

  abort(id: number): boolean {
    const isAborted = this.scheduler.abort(id);
    this.scheduler.checkIntegrity();
    return isAborted;
  }
}

/** "sequence:start+length", with "!" where a token is drawn. */
export function outline({ slices }: Batch): string[] {
  return slices.map(({ sequenceId, startPosition, tokenIds, sample }) =>
    `${sequenceId}:${startPosition}+${tokenIds.length}${sample === undefined ? "" : "!"}`
  );
}
