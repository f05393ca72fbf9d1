import type { Batch, ModelConfig, Shard, TokenOutput } from "../core.ts";
import type { GpuContext, GpuLostError } from "../gpu/context.ts";
import { ProgramCache } from "../gpu/program.ts";
import { type Readback, ReadbackRing } from "../gpu/readback_ring.ts";
import { Recorder } from "../gpu/recorder.ts";
import type { Recording } from "../gpu/recording.ts";
import { queryTileRows } from "../kernels/attention_prefill.ts";
import { CHUNK_ROWS } from "../kernels/delta_solve.ts";
import { INCLUDES } from "../kernels/includes.ts";
import { packPenalties } from "../kernels/penalize.ts";
import { packSampleParams } from "../kernels/sample.ts";
import type { Tuning } from "../kernels/tuning.ts";
import { checkTensors } from "../models/check_tensors.ts";
import { type Architecture, type BatchShape, largestStateBytes } from "../models/architecture.ts";
import { type ModelSource, requireTensor } from "../weights/model_source.ts";
import { type BatchLayout, layoutBatch } from "./batch_layout.ts";
import { bufferSizes, NUM_READBACKS } from "./buffer_sizes.ts";
import { DrawnSlots } from "./drawn_slots.ts";
import type { Stage, StageOutput } from "./stage.ts";
import { StageBuffers } from "./stage_buffers.ts";
import { stageDispatches, type StageParts, type StepExtras } from "./stage_dispatches.ts";
import type { StageLimits } from "./stage_limits.ts";
import { loadStageWeights, type StageWeights } from "./stage_weights.ts";
import { checkWeights } from "./weight_answer.ts";
import { type LoadProgress, WeightLoader } from "./weight_loader.ts";

/** What a LocalStage is made from. */
export interface LocalStageOptions {
  readonly context: GpuContext;
  readonly tuning: Tuning;
  readonly architecture: Architecture;
  readonly config: ModelConfig;
  readonly source: ModelSource;
  readonly shard: Shard;
  readonly limits: StageLimits;
  readonly onProgress?: LoadProgress;
  /** Aborts loading. */
  readonly signal?: AbortSignal;
}

/** Recordings kept; prefill chunks come in many sizes. */
const MAX_RECORDINGS = 64;

/** A shard on this process's GPU. */
export class LocalStage implements Stage {
  readonly shard: Shard;
  /** For benchmarks: set its `profiler` to time kernels. */
  readonly recorder: Recorder;
  readonly #options: LocalStageOptions;
  readonly #parts: StageParts;
  readonly #loader: WeightLoader;
  readonly #buffers: StageBuffers;
  readonly #ring: ReadbackRing;
  /** By shape, oldest first. */
  readonly #recordings = new Map<string, Recording>();
  readonly #drawn = new DrawnSlots();
  /** Resolves when the last batch was submitted or refused. */
  #lastSubmit: Promise<unknown> = Promise.resolve();
  #lostError: GpuLostError | null = null;
  #isClosed = false;

  private constructor(
    options: LocalStageOptions,
    { ring, ...parts }: {
      loader: WeightLoader;
      weights: StageWeights;
      buffers: StageBuffers;
      ring: ReadbackRing;
    },
  ) {
    const { context, tuning } = options;
    this.shard = options.shard;
    this.recorder = new Recorder(context);
    this.#options = options;
    this.#loader = parts.loader;
    this.#buffers = parts.buffers;
    this.#ring = ring;
    const kernels = {
      programs: new ProgramCache(context, INCLUDES),
      capabilities: context.capabilities,
      tuning,
      step: parts.buffers.step,
    };
    this.#parts = { ...options, ...parts, kernels };
    context.lost.then((error) => this.#lostError = error);
  }

  /**
   * Allocates the buffers and loads the shard's tensors. Throws a GpuMemoryError when the device is
   * full and a FormatError when the model lacks a tensor; nothing stays allocated then.
   */
  static async load(options: LocalStageOptions): Promise<LocalStage> {
    const { context, tuning, architecture, config, shard, limits, source, onProgress } = options;
    // A wrong model is found out before gigabytes are allocated for it.
    const hasStates = largestStateBytes({ architecture, config }) > 0;
    if (hasStates && limits.numSavedStates === 0) {
      throw new RangeError("A model with linear attention needs at least one saved state");
    }
    for (const name of checkTensors(source.tensors, { architecture, config, shard })) {
      requireTensor(source, name);
    }
    const loader = new WeightLoader(context, source, { onProgress, signal: options.signal });
    const buffers = await StageBuffers.create(context, {
      architecture,
      config,
      shard,
      limits,
      isF16Kv: tuning.useF16Kv,
    });
    const ring = new ReadbackRing(context);
    try {
      const { readback } = bufferSizes({ architecture, config, limits, hasHead: shard.hasHead });
      await ring.prepare(NUM_READBACKS, readback);
      const weights = await loadStageWeights(loader, { architecture, config, shard });
      // Batches for a model without states move none.
      const numSavedStates = hasStates ? limits.numSavedStates : 0;
      return new LocalStage({ ...options, limits: { ...limits, numSavedStates } }, {
        loader,
        weights,
        buffers,
        ring,
      });
    } catch (error) {
      loader.destroy();
      ring.destroy();
      buffers.destroy();
      throw error;
    }
  }

  /** Bytes of GPU memory: weights, and everything else. */
  get memory(): { readonly weightBytes: number; readonly bufferBytes: number } {
    return {
      weightBytes: this.#loader.allocatedBytes,
      bufferBytes: this.#buffers.allocatedBytes + this.#ring.allocatedBytes,
    };
  }

  /**
   * Has the device compute rows of every weight and compares them with the model's bytes. Throws a
   * KnownAnswerError, or the signal's reason.
   */
  async checkWeights(signal?: AbortSignal): Promise<void> {
    const { context } = this.#options;
    await checkWeights(this.#loader.answers, { context, kernels: this.#parts.kernels, signal });
  }

  async forward(batch: Batch, hidden: Float32Array | null): Promise<StageOutput> {
    const submitted = this.#lastSubmit.then(() => this.#submit(batch, hidden));
    this.#lastSubmit = submitted.catch(() => this.#drawn.forget(batch));
    const finish = await submitted;
    try {
      return await finish();
    } catch (error) {
      throw this.#lostError ?? error;
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ring.destroy();
    this.#buffers.destroy();
    this.#loader.destroy();
  }

  async #submit(batch: Batch, hidden: Float32Array | null): Promise<() => Promise<StageOutput>> {
    if (this.#isClosed) throw new Error("The stage is closed");
    if (this.#lostError !== null) throw this.#lostError;
    const { config, limits, tuning } = this.#options;
    const layout = layoutBatch(batch, limits, {
      maxBlocks: this.#buffers.batch.maxBlocks,
      tileRows: tuning.isDeterministic ? 0 : queryTileRows(config.headDim),
      ...(config.linear && !tuning.isDeterministic && { chunkRows: CHUNK_ROWS }),
    });
    this.#checkHidden(hidden, layout.shape);
    this.#drawn.check(batch, this.shard);
    const penalties = this.shard.hasHead ? packPenalties(layout.sampleRequests) : null;
    const params = this.shard.hasHead ? packSampleParams(layout.sampleRequests) : null;
    const recording = await this.#recording(layout.shape, {
      copiesBlocks: layout.blockCopies !== null,
      takesDrawn: layout.takenTokens !== null,
      hasPenalties: penalties !== null,
      restoresStates: layout.stateRestores !== null,
      savesStates: layout.stateSaves !== null,
    });
    const readbacks = await this.#reserve(layout);

    this.#buffers.upload(layout, hidden as Float32Array<ArrayBuffer> | null);
    const { head } = this.#buffers;
    if (head !== null && params !== null) {
      this.#buffers.write(head.sampleParams, new Uint32Array(params));
      if (penalties !== null) {
        this.#buffers.write(head.penaltyRows, new Uint32Array(penalties.rows));
        this.#buffers.write(head.penaltyEntries, penalties.entries);
      }
    }
    const { hiddenOut, tokens, logits } = readbacks;
    const copies = [hiddenOut, tokens, logits].flatMap((readback) => readback?.copy ?? []);
    this.recorder.submit(recording, copies);
    this.#drawn.note(batch);
    return async () => {
      if (hiddenOut !== null) {
        return { type: "hidden", values: new Float32Array(await hiddenOut.read()) };
      }
      const [ids, values] = await Promise.all([tokens?.read(), logits?.read()]);
      return { type: "tokens", tokens: this.#outputs(layout, { ids, values }) };
    };
  }

  #checkHidden(hidden: Float32Array | null, shape: BatchShape): void {
    const wanted = this.shard.hasEmbedding ? 0 : shape.numTokens * this.#options.config.hiddenSize;
    if ((hidden?.length ?? 0) === wanted) return;
    throw new RangeError(
      `The stage got ${hidden?.length ?? 0} elements of hidden states, expected ${wanted}`,
    );
  }

  async #reserve(
    { shape, sampleRequests }: BatchLayout,
  ): Promise<{ hiddenOut: Readback | null; tokens: Readback | null; logits: Readback | null }> {
    const { head, hidden } = this.#buffers;
    const { hiddenSize, vocabSize } = this.#options.config;
    if (head === null) {
      const hiddenOut = await this.#ring.reserve(hidden, shape.numTokens * hiddenSize * 4);
      return { hiddenOut, tokens: null, logits: null };
    }
    if (shape.numSamples === 0) return { hiddenOut: null, tokens: null, logits: null };
    const wantsLogits = sampleRequests.some((request) => request.wantsLogits);
    return {
      hiddenOut: null,
      tokens: await this.#ring.reserve(head.tokens, shape.numSamples * 4),
      logits: wantsLogits
        ? await this.#ring.reserve(head.logits, shape.numSamples * vocabSize * 4)
        : null,
    };
  }

  #outputs(
    layout: BatchLayout,
    read: { readonly ids: ArrayBuffer | undefined; readonly values: ArrayBuffer | undefined },
  ): TokenOutput[] {
    const { vocabSize } = this.#options.config;
    const ids = new Uint32Array(read.ids ?? new ArrayBuffer(0));
    const values = new Float32Array(read.values ?? new ArrayBuffer(0));
    return layout.sampled.map(({ slice, firstRow, endRow }) => ({
      sequenceId: slice.sequenceId,
      tokenId: ids[endRow - 1] ?? 0,
      ...(slice.sample?.wantsLogits &&
        { logits: values.slice(firstRow * vocabSize, endRow * vocabSize) }),
    }));
  }

  async #recording(shape: BatchShape, extras: StepExtras): Promise<Recording> {
    const key = [...Object.values(shape), ...Object.values(extras)].join(" ");
    let recording = this.#recordings.get(key);
    if (recording === undefined) {
      recording = this.recorder.record(stageDispatches(this.#parts, { shape, extras }));
      await this.#parts.kernels.programs.compiled();
    }
    this.#recordings.delete(key);
    this.#recordings.set(key, recording);
    const [oldest] = this.#recordings.keys();
    if (this.#recordings.size > MAX_RECORDINGS && oldest !== undefined) {
      this.#recordings.delete(oldest);
    }
    return recording;
  }
}
