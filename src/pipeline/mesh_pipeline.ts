import { type Batch, numBatchTokens, type TokenOutput } from "../core.ts";
import type { Frame } from "../mesh/frame.ts";
import type { PeerLink } from "../mesh/peer_link.ts";
import type { Clock } from "../platform/platform.ts";
import { BatchEncoder } from "./batch_encoder.ts";
import { batchFrame, tokenIdBytes } from "./batch_frame.ts";
import { PipelineLostError } from "./pipeline_lost_error.ts";
import { StageError } from "./stage_error.ts";
import { StepDeadline } from "./step_deadline.ts";
import { decodeTokens } from "./token_wire.ts";

/** What a pipeline over links is made of. */
export interface MeshPipelineOptions {
  /** Tells this pipeline's frames from those of all others; u32. */
  readonly epoch: number;
  /** To the peer of each stage, in the order of their layers. */
  readonly links: readonly PeerLink[];
  readonly clock: Clock;
}

interface PendingStep {
  readonly batch: Batch;
  /** Of the batch and of those in flight before it. */
  readonly numTokens: number;
  readonly startMs: number;
  readonly limitMs: number;
  resolve(tokens: readonly TokenOutput[]): void;
  reject(error: Error): void;
}

/** How often overdue steps are looked for. */
const WATCH_MS = 500;

/** Stages on peers: batches go to the first, tokens come from the last. */
export class MeshPipeline {
  readonly numStages: number;
  /** Resolves with the reason when the pipeline is of no use any more. */
  readonly lost: Promise<string>;
  readonly #options: MeshPipelineOptions;
  readonly #encoder = new BatchEncoder();
  readonly #deadline = new StepDeadline();
  readonly #pending = new Map<number, PendingStep>();
  readonly #stops: (() => void)[];
  readonly #closing = new AbortController();
  readonly #resolveLost: (reason: string) => void;
  #lastStepId = 0;
  #isWatching = false;

  constructor(options: MeshPipelineOptions) {
    const { links } = options;
    this.#options = options;
    this.numStages = links.length;
    ({ promise: this.lost, resolve: this.#resolveLost } = Promise.withResolvers<string>());
    this.#stops = links.map((link, stageIndex) =>
      link.listen({
        onClose: (reason) => this.close(`Stage ${stageIndex} is gone: ${reason}`),
        ...(stageIndex === links.length - 1 && { onFrame: (frame) => this.#takeTokens(frame) }),
      })
    );
    const closed = links.find((link) => link.closedReason !== null);
    if (closed) this.close(`A stage is gone: ${closed.closedReason}`);
  }

  /**
   * Runs `batch` through all stages, like Pipeline.forward. Throws a StageError when a stage cannot
   * run it, and a PipelineLostError when a peer is gone, a step is overdue, or the pipeline closed.
   */
  async forward(batch: Batch): Promise<readonly TokenOutput[]> {
    const { epoch, links, clock } = this.#options;
    this.#checkOpen();
    const numTokens = numBatchTokens(batch);
    const stepId = ++this.#lastStepId;
    const { promise, resolve, reject } = Promise.withResolvers<readonly TokenOutput[]>();
    const numTokensWithAhead = numTokens + this.#numTokensInFlight();
    this.#pending.set(stepId, {
      batch,
      numTokens: numTokensWithAhead,
      startMs: clock.now(),
      limitMs: this.#deadline.limitMs(numTokensWithAhead),
      resolve,
      reject,
    });
    // A link that closes rejects through close().
    promise.catch(() => {});
    const frame = batchFrame(
      { meta: this.#encoder.encode(batch), input: tokenIdBytes(batch) },
      {
        epoch,
        sequence: stepId,
        position: batch.slices[0]?.startPosition ?? 0,
        numTokens,
        dtype: "none",
      },
    );
    links[0]?.sendFrame(frame, "hot").catch((error) => this.close(error.message));
    this.#watch();
    return await promise;
  }

  /** A stage could not run a step. Unknown steps are passed over. */
  failStep(stepId: number, { stageIndex, reason }: { stageIndex: number; reason: string }): void {
    const step = this.#pending.get(stepId);
    if (step === undefined) return;
    this.#pending.delete(stepId);
    step.reject(new StageError({ stepId: step.batch.stepId, stageIndex, cause: reason }));
  }

  /** Rejects what is in flight. The links stay the caller's. */
  close(reason: string): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(reason);
    for (const stop of this.#stops) stop();
    const error = new PipelineLostError(reason);
    for (const step of this.#pending.values()) step.reject(error);
    this.#pending.clear();
    this.#resolveLost(reason);
  }

  #takeTokens(frame: Frame): void {
    if (frame.type !== "tokens" || frame.epoch !== this.#options.epoch) return;
    const step = this.#pending.get(frame.sequence);
    if (step === undefined) return;
    this.#pending.delete(frame.sequence);
    try {
      step.resolve(decodeTokens(frame.payload));
    } catch (cause) {
      const { stepId } = step.batch;
      return step.reject(new StageError({ stepId, stageIndex: this.numStages - 1, cause }));
    }
    const elapsedMs = this.#options.clock.now() - step.startMs;
    this.#deadline.record({ elapsedMs, numTokens: step.numTokens });
  }

  #numTokensInFlight(): number {
    let numTokens = 0;
    for (const { batch } of this.#pending.values()) numTokens += numBatchTokens(batch);
    return numTokens;
  }

  /** Runs while steps are in flight. */
  async #watch(): Promise<void> {
    if (this.#isWatching) return;
    this.#isWatching = true;
    const { clock } = this.#options;
    const { signal } = this.#closing;
    try {
      while (this.#pending.size > 0) {
        await clock.sleep(WATCH_MS, signal);
        for (const { startMs, limitMs } of this.#pending.values()) {
          if (clock.now() - startMs <= limitMs) continue;
          return this.close(`A step did not come back within ${Math.round(limitMs)} ms`);
        }
      }
    } catch {
      // Closed meanwhile.
    } finally {
      this.#isWatching = false;
    }
  }

  #checkOpen(): void {
    const { signal } = this.#closing;
    if (signal.aborted) throw new PipelineLostError(String(signal.reason));
  }
}
