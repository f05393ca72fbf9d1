import type { ModelConfig } from "../core.ts";
import { kvBytes } from "../kernels/kv_cache.ts";
import type { Architecture } from "../models/architecture.ts";
import { shardTensorNames } from "../models/check_tensors.ts";
import { type ModelSource, requireTensor } from "../weights/model_source.ts";
import type { StageLimits } from "./stage_limits.ts";

/** What the parts of a model take on a device, in bytes. */
export interface ModelCosts {
  readonly numLayers: number;
  /** Stored bytes of each layer's tensors. */
  readonly layerBytes: readonly number[];
  readonly kvBytesPerLayer: number;
  /** Buffers of any stage beside weights and KV. */
  readonly scratchBytes: number;
  readonly embeddingBytes: number;
  /** Final norm, output matrix and the buffers of sampling. */
  readonly headBytes: number;
  readonly isTied: boolean;
}

/** Adds up a model. Throws a FormatError for a tensor that is missing or cannot be read. */
export function modelCosts({ source, architecture, config, limits, isF16Kv }: {
  readonly source: Pick<ModelSource, "name" | "tensors" | "unreadable">;
  readonly architecture: Architecture;
  readonly config: ModelConfig;
  readonly limits: StageLimits;
  readonly isF16Kv: boolean;
}): ModelCosts {
  const { numLayers, hiddenSize, vocabSize, isTied, numKvHeads, headDim } = config;
  const { maxBatchTokens, maxSamples, maxModelLength, numBlocks } = limits;
  const bytesOf = (part: { start: number; end: number; isFirst?: boolean; isLast?: boolean }) =>
    shardTensorNames({
      architecture,
      config,
      shard: {
        startLayer: part.start,
        endLayer: part.end,
        hasEmbedding: part.isFirst ?? false,
        hasHead: part.isLast ?? false,
      },
    }).reduce((sum, name) => sum + requireTensor(source, name).byteLength, 0);
  const scratchColumns = Object.values(architecture.scratchColumns(config))
    .reduce((sum, columns) => sum + columns, hiddenSize);
  const layers = Array.from({ length: numLayers }, (_, layer) => layer);
  return {
    numLayers,
    layerBytes: layers.map((start) => bytesOf({ start, end: start + 1 })),
    kvBytesPerLayer: 2 * kvBytes({ numKvHeads, headDim, isF16: isF16Kv }, numBlocks),
    scratchBytes: maxBatchTokens * scratchColumns * 4 + maxModelLength * headDim * 4,
    embeddingBytes: bytesOf({ start: 0, end: 0, isFirst: true }),
    headBytes: bytesOf({ start: numLayers, end: numLayers, isLast: true }) +
      maxSamples * (vocabSize + hiddenSize) * 4,
    isTied,
  };
}
