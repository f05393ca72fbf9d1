import type { ModelConfig, Shard } from "../core.ts";
import { GpuMemoryError } from "../gpu/context.ts";
import { type Architecture, layerMemoryOf } from "../models/architecture.ts";
import { layerMemoryBytes } from "../models/layer_memory.ts";
import { bufferBytes, numStateSlots } from "./buffer_sizes.ts";
import type { StageLimits } from "./stage_limits.ts";

/** A shard takes more memory than its device may give. */
export class ShardMemoryError extends Error {
  override readonly name = "ShardMemoryError";
}

/** The device has no room for a shard: a smaller one may fit. */
export function isOutOfMemory(error: unknown): boolean {
  return error instanceof ShardMemoryError || error instanceof GpuMemoryError;
}

/**
 * GPU memory in bytes that a shard takes at least: tensors as stored, what its layers keep, and
 * buffers.
 */
export function shardMemoryBytes({ tensors, architecture, config, shard, limits, isF16Kv }: {
  /** Of the shard. */
  readonly tensors: readonly { readonly byteLength: number }[];
  readonly architecture: Pick<Architecture, "scratchColumns" | "layerMemory">;
  readonly config: ModelConfig;
  readonly shard: Shard;
  readonly limits: StageLimits;
  readonly isF16Kv: boolean;
}): number {
  const { numBlocks } = limits;
  const room = { isF16: isF16Kv, numBlocks, numSlots: numStateSlots(limits) };
  let keptBytes = 0;
  for (let layer = shard.startLayer; layer < shard.endLayer; layer++) {
    const memory = layerMemoryOf({ architecture, config }, layer);
    keptBytes += sum(Object.values(layerMemoryBytes(memory, room)));
  }
  return sum(tensors.map(({ byteLength }) => byteLength)) + keptBytes +
    bufferBytes({ architecture, config, limits, hasHead: shard.hasHead });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
