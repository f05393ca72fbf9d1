/**
 * Token ids in, token ids out: admits sequences, steps the scheduler and keeps the pipeline full.
 * Knows no text and no GPU.
 *
 * @module
 */
import type { Batch, SamplingParams, TokenOutput } from "./core.ts";
import { PipelineLostError } from "./pipeline/pipeline_lost_error.ts";
import type { Clock } from "./platform/platform.ts";
import { RefusedError } from "./scheduler/admission.ts";
import { CacheTooSmallError, TimeoutError } from "./scheduler/ended_errors.ts";
import type { SchedulerOptions } from "./scheduler/options.ts";
import { Scheduler, type SchedulerStats, type SequenceUpdate } from "./scheduler/scheduler.ts";
import { DEFAULT_TERMS, type SequenceTerms } from "./scheduler/sequence_terms.ts";
import { type TokenEvent, TokenStream } from "./scheduler/token_stream.ts";

export { CacheTooSmallError, RefusedError, TimeoutError, type TokenEvent };

/** What runs the batches; it may come and go. */
export interface EnginePipeline {
  /** 0 while there is none, and nothing is scheduled. */
  readonly numStages: number;
  /** Rejects with a PipelineLostError when what the stages cached is gone. */
  forward(batch: Batch): Promise<readonly TokenOutput[]>;
}

/** What an engine runs on. */
export interface EngineOptions {
  /** Stays the caller's: `close()` of the engine leaves it open. */
  readonly pipeline: EnginePipeline;
  readonly scheduler: SchedulerOptions;
  /** Token ids are in [0, vocabSize). */
  readonly vocabSize: number;
  /** For sequences with a time limit. */
  readonly clock: Clock;
}

/** What one generation may bring along. */
export interface GenerateOptions extends Partial<SequenceTerms> {
  /** Aborting it ends the sequence with finish reason "abort" and the tokens it has. */
  readonly signal?: AbortSignal;
  /** From the first `next()`; after it the sequence fails with a TimeoutError. No limit unless given. */
  readonly timeoutMs?: number;
}

/** Runs sequences on one pipeline until closed. */
export class Engine {
  readonly #pipeline: EngineOptions["pipeline"];
  readonly #scheduler: Scheduler;
  readonly #vocabSize: number;
  readonly #clock: Clock;
  readonly #streams = new Map<number, TokenStream>();
  /** One for each batch in flight or being handed out. None rejects. */
  readonly #steps = new Set<Promise<void>>();
  /** Of the newest batch. */
  #lastStep: Promise<void> = Promise.resolve();
  #numInFlight = 0;
  #lastRestart = 0;
  /** What the scheduler takes for cached is gone: nothing runs before a restart. */
  #isCacheLost = false;
  #isClosed = false;

  /** Throws a RangeError when the scheduler's limits make no sense. */
  constructor({ pipeline, scheduler, vocabSize, clock }: EngineOptions) {
    this.#pipeline = pipeline;
    this.#scheduler = new Scheduler(scheduler);
    this.#vocabSize = vocabSize;
    this.#clock = clock;
  }

  /** Most tokens of one sequence, prompt and output together; follows the pipeline's cache. */
  get maxModelLength(): number {
    return this.#scheduler.maxModelLength;
  }

  /**
   * Generates up to `sampling.maxTokens` tokens after the prompt. The sequence joins the queue at
   * the first `next()`. It is cancelled, and its blocks are free at once, when the reader calls
   * `return()` or the signal aborts.
   *
   * Throws a RefusedError at once when the prompt is empty, too long for the model or the KV pool,
   * or has ids outside the vocabulary. `next()` rejects when the batch of the sequence failed, with
   * a TimeoutError, or with a CacheTooSmallError after a restart.
   */
  generate(
    promptTokenIds: readonly number[],
    sampling: SamplingParams,
    { signal, timeoutMs, ...terms }: GenerateOptions = {},
  ): AsyncGenerator<TokenEvent, void, void> {
    this.#checkOpen();
    this.#checkVocabulary(promptTokenIds);
    this.#scheduler.check(promptTokenIds, sampling);
    const prompt = [...promptTokenIds];
    let sequenceId: number | null = null;
    const ending = new AbortController();
    const abort = () => stream.finish("abort");
    const stream = new TokenStream({
      onStart: () => {
        this.#checkOpen();
        if (signal?.aborted) return abort();
        signal?.addEventListener("abort", abort);
        if (timeoutMs !== undefined) this.#limitTime(stream, { timeoutMs, signal: ending.signal });
        sequenceId = this.#scheduler.add(prompt, sampling, { ...DEFAULT_TERMS, ...terms });
        this.#streams.set(sequenceId, stream);
        this.#fillPipeline();
      },
      onEnd: () => {
        signal?.removeEventListener("abort", abort);
        ending.abort();
        if (sequenceId !== null) this.#remove(sequenceId);
      },
    });
    return stream;
  }

  /** Queue lengths and free blocks as they are now, and totals since the start. */
  stats(): SchedulerStats {
    return this.#scheduler.stats();
  }

  /** Throws when the scheduler's state contradicts itself or a stream has no sequence. */
  checkIntegrity(): void {
    this.#scheduler.checkIntegrity();
    const { numRunning, numWaiting } = this.#scheduler.stats();
    if (this.#streams.size !== numRunning + numWaiting) {
      throw new Error(
        `${this.#streams.size} streams read ${numRunning} running and ${numWaiting} waiting sequences`,
      );
    }
  }

  /**
   * Goes on with a new pipeline in place of a lost one: all running sequences are prefilled again
   * from their tokens. To be called once the new one takes batches. Its cache may have another
   * number of blocks; sequences that do not fit there fail.
   */
  async restart({ numBlocks }: { readonly numBlocks?: number } = {}): Promise<void> {
    const restart = ++this.#lastRestart;
    this.#isCacheLost = true;
    await Promise.all(this.#steps);
    // A later pipeline takes the place of this one.
    if (restart !== this.#lastRestart) return;
    const tooLong = this.#scheduler.restart(numBlocks);
    this.#isCacheLost = false;
    for (const id of tooLong) this.#streams.get(id)?.fail(new CacheTooSmallError());
    this.#fillPipeline();
  }

  /** Ends all sequences with `error`, those that wait too. New ones may come. */
  failAll(error: unknown): void {
    for (const stream of [...this.#streams.values()]) stream.fail(error);
  }

  /**
   * Aborts all sequences and takes no more. Resolves when no batch is in flight; a stage that hangs
   * holds it up until the pipeline is closed.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const stream of [...this.#streams.values()]) stream.finish("abort");
    await Promise.all(this.#steps);
  }

  /**
   * Puts batches in flight until each stage can have one or nothing is left to run. A single stage
   * gets the next step while it runs the last one.
   */
  #fillPipeline(): void {
    if (this.#isCacheLost) return;
    const { numStages } = this.#pipeline;
    const maxInFlight = numStages === 1 ? 2 : numStages;
    try {
      while (!this.#isClosed && this.#numInFlight < maxInFlight) {
        const batch = this.#scheduler.schedule(numStages);
        if (batch === null) return;
        this.#numInFlight++;
        const step = this.#step(batch, this.#lastStep)
          // The scheduler broke its own rules: readers must not wait for ever.
          .catch((error) => this.failAll(error))
          .finally(() => this.#steps.delete(step));
        this.#lastStep = step;
        this.#steps.add(step);
      }
    } catch (error) {
      this.failAll(error);
    }
  }

  /**
   * Runs one batch and, after the one before it, tells its readers. One that fails ends its own
   * sequences and no others.
   */
  async #step(batch: Batch, stepBefore: Promise<void>): Promise<void> {
    let handOut: () => void;
    try {
      const tokens = await this.#forward(batch, stepBefore);
      this.#checkDrawn(tokens);
      const updates = this.#scheduler.update(batch, tokens);
      handOut = () => updates.forEach((update) => this.#handOut(update));
    } catch (error) {
      handOut = this.#giveUp(batch, error);
    } finally {
      this.#numInFlight--;
    }
    // The next batch goes out before the readers wake: they cost the stages nothing.
    this.#fillPipeline();
    handOut();
  }

  async #forward(batch: Batch, stepBefore: Promise<void>): Promise<readonly TokenOutput[]> {
    try {
      return await this.#pipeline.forward(batch);
    } finally {
      await stepBefore;
    }
  }

  /** A lost pipeline costs its sequences time, any other failure ends them. */
  #giveUp(batch: Batch, error: unknown): () => void {
    if (error instanceof PipelineLostError) {
      this.#isCacheLost = true;
      this.#scheduler.takeBack(batch);
      return () => {};
    }
    const sequenceIds = this.#scheduler.fail(batch);
    return () => sequenceIds.forEach((id) => this.#streams.get(id)?.fail(error));
  }

  #handOut({ sequenceId, tokenId, finishReason, numCachedTokens }: SequenceUpdate): void {
    const stream = this.#streams.get(sequenceId);
    if (stream !== undefined) stream.numCachedTokens = numCachedTokens;
    if (finishReason !== null) stream?.finish(finishReason, tokenId);
    else if (tokenId !== null) stream?.push(tokenId);
  }

  /** Forgets a sequence whose stream is over; whoever waited for its blocks may go ahead. */
  #remove(sequenceId: number): void {
    this.#streams.delete(sequenceId);
    if (this.#scheduler.abort(sequenceId)) this.#fillPipeline();
  }

  async #limitTime(
    stream: TokenStream,
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<void> {
    try {
      await this.#clock.sleep(timeoutMs, signal);
    } catch {
      return;
    }
    stream.fail(new TimeoutError(timeoutMs));
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new Error("The engine is closed");
  }

  #checkVocabulary(promptTokenIds: readonly number[]): void {
    for (const [position, tokenId] of promptTokenIds.entries()) {
      if (this.#isToken(tokenId)) continue;
      throw new RefusedError(
        "invalid_value",
        `Prompt token "${tokenId}" at position "${position}" is outside the vocabulary: ` +
          `use integers from 0 to ${this.#vocabSize - 1}`,
      );
    }
  }

  #checkDrawn(tokens: readonly TokenOutput[]): void {
    for (const { sequenceId, tokenId } of tokens) {
      if (this.#isToken(tokenId)) continue;
      throw new Error(`Sequence "${sequenceId}" drew "${tokenId}", which is no token id`);
    }
  }

  #isToken(tokenId: number): boolean {
    return Number.isInteger(tokenId) && tokenId >= 0 && tokenId < this.#vocabSize;
  }
}
