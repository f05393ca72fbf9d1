import { type Batch, numBatchTokens } from "../core.ts";
import type { Frame } from "../mesh/frame.ts";
import { LinkClosedError, type PeerLink } from "../mesh/peer_link.ts";
import type { Clock } from "../platform/platform.ts";
import type { Stage, StageOutput } from "../stage/stage.ts";
import type { StageLimits } from "../stage/stage_limits.ts";
import { BatchDecoder } from "./batch_decoder.ts";
import { batchFrame, type BatchPayload, readBatchPayload, readTokenIds } from "./batch_frame.ts";
import { decodeHidden, encodeHidden, type HiddenType } from "./hidden_wire.ts";
import { encodeTokens } from "./token_wire.ts";
import { WireError } from "./wire_reader.ts";

/** A stage's place in a pipeline. */
export interface StageServiceOptions {
  readonly stage: Stage;
  readonly epoch: number;
  readonly limits: StageLimits;
  readonly hiddenSize: number;
  readonly hiddenType: HiddenType;
  /** Where batches come from: the coordinator for the first stage. */
  readonly input: PeerLink;
  /** Where results go: the coordinator for the last stage. */
  readonly output: PeerLink;
  readonly clock: Clock;
  /**
   * A step is lost here; the pipeline's owner is to be told. Not called for what a closed link
   * swallows: then the pipeline is lost, and no step is to blame.
   */
  readonly onFailure: (failure: { readonly stepId: number; readonly reason: string }) => void;
}

/** What went through a stage. */
export interface ServiceStats {
  readonly numSteps: number;
  readonly numTokens: number;
  /** From a batch's arrival to its result, over all steps. */
  readonly busyMs: number;
  /** Frames of another epoch, or out of order. */
  readonly numRefused: number;
}

/** Takes batches from one link, runs them, and hands the results to the next. */
export class StageService {
  readonly #options: StageServiceOptions;
  readonly #decoder: BatchDecoder;
  readonly #stopListening: () => void;
  #lastStepId = 0;
  #isClosed = false;
  /** Resolves when every earlier result has been handed on. */
  #lastSent: Promise<void> = Promise.resolve();
  #stats = { numSteps: 0, numTokens: 0, busyMs: 0, numRefused: 0 };

  constructor(options: StageServiceOptions) {
    this.#options = options;
    this.#decoder = new BatchDecoder(options.limits);
    this.#stopListening = options.input.listen({ onFrame: (frame) => this.#take(frame) });
  }

  get stats(): ServiceStats {
    return this.#stats;
  }

  /** Takes no more batches and hands on no more results. The stage stays the caller's. */
  close(): void {
    this.#isClosed = true;
    this.#stopListening();
  }

  #take(frame: Frame): void {
    if (frame.type !== "batch") return;
    const { sequence: stepId, epoch } = frame;
    if (epoch !== this.#options.epoch || stepId <= this.#lastStepId) {
      this.#stats.numRefused++;
      return;
    }
    this.#lastStepId = stepId;
    const startMs = this.#options.clock.now();
    const step = this.#run(frame);
    // It may fail while an earlier one is still waited for.
    step.catch(() => {});
    // Results leave in the order in which batches came.
    this.#lastSent = this.#lastSent.then(async () => {
      try {
        const { output, meta } = await step;
        this.#stats.numSteps++;
        this.#stats.numTokens += frame.numTokens;
        this.#stats.busyMs += this.#options.clock.now() - startMs;
        if (!this.#isClosed) await this.#send(output, { frame, meta });
      } catch (error) {
        if (this.#isClosed || error instanceof LinkClosedError) return;
        const reason = error instanceof Error ? error.message : String(error);
        this.#options.onFailure({ stepId, reason });
      }
    });
  }

  async #run(frame: Frame): Promise<{ output: StageOutput; meta: Uint8Array }> {
    const { stage } = this.#options;
    const { meta, input } = readBatchPayload(frame.payload);
    const isFirst = stage.shard.hasEmbedding;
    const batch = this.#decoder.decode({
      stepId: frame.sequence,
      meta,
      tokenIds: isFirst ? readTokenIds(input) : null,
    });
    let hidden: Float32Array | null;
    try {
      hidden = this.#hiddenOf(batch, { frame, input });
    } catch (error) {
      this.#decoder.doubt(batch);
      throw error;
    }
    return { output: await stage.forward(batch, hidden), meta };
  }

  /** What the stage computes from; throws a WireError when frame and batch contradict each other. */
  #hiddenOf(
    batch: Batch,
    { frame, input }: { readonly frame: Frame; readonly input: Uint8Array },
  ): Float32Array | null {
    const { stage: { shard }, hiddenSize } = this.#options;
    const numTokens = numBatchTokens(batch);
    if (frame.numTokens !== numTokens || frame.position !== batch.slices[0]?.startPosition) {
      throw new WireError("The frame's header does not fit its batch");
    }
    const isAlone = shard.hasEmbedding && shard.hasHead;
    if (!isAlone && batch.slices.some(({ takesDrawn }) => takesDrawn)) {
      throw new WireError("Tokens are drawn by another stage than this one");
    }
    if (shard.hasEmbedding !== (frame.dtype === "none")) {
      throw new WireError(`A frame of type "${frame.dtype}" is no input of this stage`);
    }
    return frame.dtype === "none"
      ? null
      : decodeHidden(input, { type: frame.dtype, numElements: numTokens * hiddenSize });
  }

  async #send(
    result: StageOutput,
    { frame, meta }: { readonly frame: Frame; readonly meta: BatchPayload["meta"] },
  ): Promise<void> {
    const { output, hiddenType } = this.#options;
    const { epoch, sequence, position, numTokens } = frame;
    const head = { epoch, sequence, position, numTokens };
    await output.sendFrame(
      result.type === "hidden"
        ? batchFrame(
          { meta, input: encodeHidden(result.values, hiddenType) },
          { ...head, dtype: hiddenType },
        )
        : { ...head, type: "tokens", dtype: "none", payload: encodeTokens(result.tokens) },
      "hot",
    );
  }
}
