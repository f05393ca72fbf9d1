/**
 * The role that answers HTTP: it loads a model as a pipeline, owns the engine and the text side.
 *
 * @module
 */
import { BLOCK_SIZE, type ModelConfig } from "./core.ts";
import { Engine } from "./engine.ts";
import type { GpuContext } from "./gpu/context.ts";
import type { Tuning } from "./kernels/tuning.ts";
import { type ModelText, readJson, readModelText } from "./model_text.ts";
import { loadLocalPipeline } from "./local_pipeline.ts";
import { warmUp } from "./pipeline/warm_up.ts";
import type { Clock, Rng } from "./platform/platform.ts";
import { createServer, type Server } from "./server/server.ts";
import { readGenerationConfig } from "./server/generation_config.ts";
import type { StageLimits } from "./stage/stage_limits.ts";
import type { ModelSource } from "./weights/model_source.ts";

/** What a coordinator runs on. */
export interface CoordinatorOptions {
  readonly context: GpuContext;
  readonly tuning: Tuning;
  readonly source: ModelSource;
  /** Stages that the layers are split over, all in this process. */
  readonly numStages: number;
  readonly limits: CapacityOptions;
  readonly clock: Clock;
  readonly rng: Rng;
  /** The wall clock's date, for chat templates and `created`. */
  readonly now: () => Date;
  readonly version: string;
  /** Names beside the source's that requests may use. */
  readonly aliases?: readonly string[];
  readonly onProgress?: (loadedBytes: number) => void;
  readonly signal?: AbortSignal;
}

/** How much runs at once. Counts of tokens, unless said otherwise. */
export interface CapacityOptions {
  /** Longest prompt and output together; null takes the model's, up to what the cache holds. */
  readonly maxModelLength: number | null;
  /** KV cache, over all sequences. */
  readonly kvTokens: number;
  readonly maxBatchTokens: number;
  readonly maxSequences: number;
}

/** Enough for a handful of chats on any device. */
export const DEFAULT_CAPACITY: CapacityOptions = {
  maxModelLength: null,
  kvTokens: 16_384,
  maxBatchTokens: 512,
  maxSequences: 32,
};

/** A running coordinator. */
export interface Coordinator {
  readonly server: Server;
  readonly engine: Engine;
  readonly text: ModelText;
  readonly config: ModelConfig;
  /** GPU memory of the weights, over all stages. */
  readonly weightBytes: number;
  /** Ends all sequences, frees the GPU and closes the source. */
  close(): Promise<void>;
}

/**
 * Loads the model and makes it answer. Throws a ModelConfigError, FormatError, TokenizerError or
 * GpuMemoryError that names the fix; nothing stays allocated then.
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const { source } = options;
  const text = await readModelText(source, options.now);
  const generation = readGenerationConfig(await readJson(source, "generation_config.json"));
  let limits: StageLimits | null = null;
  const { pipeline, stages, config } = await loadLocalPipeline({
    ...options,
    limits: (config) => limits = stageLimits(config, options.limits),
  });
  try {
    const scheduler = limits ?? stageLimits(config, options.limits);
    const engine = new Engine({ pipeline, scheduler, vocabSize: config.vocabSize });
    await warmUp(pipeline, scheduler);
    const server = createServer({
      engine,
      tokenizer: text.tokenizer,
      chatTemplate: text.chatTemplate.exists ? text.chatTemplate : null,
      model: {
        id: source.name,
        aliases: options.aliases ?? [],
        vocabSize: config.vocabSize,
        eosTokenIds: [
          ...new Set([
            ...generation.eosTokenIds,
            ...config.eosTokenIds,
            ...text.tokenizer.eosTokenIds,
          ]),
        ],
      },
      clock: options.clock,
      rng: options.rng,
      version: options.version,
      defaults: generation.defaults,
      dateMs: () => options.now().getTime(),
    });
    return {
      server,
      engine,
      text,
      config,
      weightBytes: stages.reduce((total, stage) => total + stage.memory.weightBytes, 0),
      close: async () => {
        await engine.close();
        pipeline.close();
        await source.close();
      },
    };
  } catch (error) {
    pipeline.close();
    throw error;
  }
}

/** Limits of every stage for `capacity`: the cache holds at least one longest sequence. */
export function stageLimits(config: ModelConfig, capacity: CapacityOptions): StageLimits {
  const maxModelLength = Math.min(
    capacity.maxModelLength ?? config.maxPositions,
    capacity.kvTokens,
  );
  // Every running sequence takes a token of each step.
  const maxSequences = Math.min(capacity.maxSequences, capacity.maxBatchTokens);
  return {
    numBlocks: Math.ceil(capacity.kvTokens / BLOCK_SIZE),
    maxModelLength,
    maxBatchTokens: capacity.maxBatchTokens,
    maxSequences,
    maxSamples: maxSequences,
  };
}
