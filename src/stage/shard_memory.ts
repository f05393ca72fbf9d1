import type { ModelConfig, Shard } from "../core.ts";
import { GpuMemoryError } from "../gpu/context.ts";
import { kvBytes } from "../kernels/kv_cache.ts";
import type { Architecture } from "../models/architecture.ts";
import { bufferSizes } from "./buffer_sizes.ts";
import type { StageLimits } from "./stage_limits.ts";

/** A shard takes more memory than its device may give. */
export class ShardMemoryError extends Error {
  override readonly name = "ShardMemoryError";
}

/** The device has no room for a shard: a smaller one may fit. */
export function isOutOfMemory(error: unknown): boolean {
  return error instanceof ShardMemoryError || error instanceof GpuMemoryError;
}

/** GPU memory in bytes that a shard takes at least: tensors as stored, KV cache and buffers. */
export function shardMemoryBytes({ tensors, architecture, config, shard, limits, isF16Kv }: {
  /** Of the shard. */
  readonly tensors: readonly { readonly byteLength: number }[];
  readonly architecture: Pick<Architecture, "scratchColumns">;
  readonly config: ModelConfig;
  readonly shard: Shard;
  readonly limits: StageLimits;
  readonly isF16Kv: boolean;
}): number {
  const { numKvHeads, headDim } = config;
  const numLayers = shard.endLayer - shard.startLayer;
  const kvBytesPerLayer = 2 * kvBytes({ numKvHeads, headDim, isF16: isF16Kv }, limits.numBlocks);
  const { scratch, batch, head } = bufferSizes({ architecture, config, limits });
  return sum(tensors.map(({ byteLength }) => byteLength)) + numLayers * kvBytesPerLayer +
    sum(Object.values(scratch)) + sum(Object.values(batch)) +
    (shard.hasHead ? sum(Object.values(head)) : 0);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
