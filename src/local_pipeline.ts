import { type ModelConfig, splitLayers } from "./core.ts";
import type { GpuContext } from "./gpu/context.ts";
import type { Tuning } from "./kernels/tuning.ts";
import { architectureOf } from "./models/registry.ts";
import { LocalStage } from "./stage/local_stage.ts";
import type { StageLimits } from "./stage/stage_limits.ts";
import type { ModelSource } from "./weights/model_source.ts";
import { Pipeline } from "./pipeline/pipeline.ts";

/** A whole model on one device. */
export interface LocalPipeline {
  readonly pipeline: Pipeline;
  readonly stages: readonly LocalStage[];
  readonly config: ModelConfig;
}

/**
 * Loads `source` as a pipeline of `numStages` LocalStages, or one for each layer if those are fewer. Throws a ModelConfigError for a model
 * that is not supported, and what LocalStage.load throws; nothing stays allocated then.
 */
export async function loadLocalPipeline(options: {
  readonly context: GpuContext;
  readonly tuning: Tuning;
  readonly source: ModelSource;
  readonly numStages: number;
  /** From the model's configuration, once it is read. */
  readonly limits: (config: ModelConfig) => StageLimits;
  /** Bytes on the device so far, over all stages. */
  readonly onProgress?: (loadedBytes: number) => void;
  readonly signal?: AbortSignal;
}): Promise<LocalPipeline> {
  const { context, tuning, source, numStages, onProgress, signal } = options;
  const architecture = architectureOf(source.hfConfig);
  const config = architecture.readConfig(source.hfConfig);
  const limits = options.limits(config);
  const stages: LocalStage[] = [];
  let earlierBytes = 0;
  try {
    const mostStages = Math.min(numStages, config.numLayers);
    for (const shard of splitLayers(config.numLayers, mostStages)) {
      const stage = await LocalStage.load({
        ...{ context, tuning, architecture, config, source, shard, limits },
        onProgress: (loadedBytes) => onProgress?.(earlierBytes + loadedBytes),
        ...(signal && { signal }),
      });
      stages.push(stage);
      earlierBytes += stage.memory.weightBytes;
    }
  } catch (error) {
    for (const stage of stages) stage.close();
    throw error;
  }
  const pipeline = new Pipeline({ stages, numLayers: config.numLayers });
  return { pipeline, stages, config };
}
