/**
 * How large the KV pool of a pipeline is. Every stage holds as many blocks as the others, each for
 * its own layers, so the stage with the least room decides. Pure.
 *
 * @module
 */
import type { Shard } from "../core.ts";
import type { ModelCosts } from "../stage/model_costs.ts";
import { StageCosts } from "./stage_costs.ts";

/** What the owner wants of a pool, in blocks. All the same where there is no choice. */
export interface PoolBounds {
  /** A pipeline with less is not worth starting. */
  readonly leastBlocks: number;
  /** Layers are given out so that this much fits, where they can be. */
  readonly wantedBlocks: number;
  /** More is of no use. */
  readonly mostBlocks: number;
  /** The same for devices that compute on the CPU, where the pool is everyone's memory. */
  readonly mostSoftwareBlocks: number;
  /** What the owner may change where even the least does not fit; null where there is nothing. */
  readonly advice: string | null;
}

/** Exactly so many blocks. */
export function fixedPool(numBlocks: number, advice: string | null = null): PoolBounds {
  return {
    ...{ leastBlocks: numBlocks, wantedBlocks: numBlocks },
    ...{ mostBlocks: numBlocks, mostSoftwareBlocks: numBlocks },
    advice,
  };
}

/** A device as far as a pool on it goes. */
export interface PoolDevice {
  readonly usesF16Kv: boolean;
  readonly isSoftware: boolean;
  /** K and V of a layer, or its latents, are a buffer each, which kernels bind as a whole. */
  readonly maxBindingBytes: number;
}

/** A stage as far as its pool goes. */
export interface PoolStage extends PoolDevice {
  readonly shard: Shard;
  /** For weights, buffers and pool. */
  readonly memoryBytes: number;
}

/**
 * Blocks that the largest buffer of any layer, K or V or latents, has room for in one binding. A pool ends there, nothing is split:
 * 128 MiB, the least that WebGPU guarantees, hold 65,536 tokens of an 8B model (8 KV heads of 128) in
 * f16 and 32,768 in f32, 131,072 and 65,536 of a 1B model, 349,525 and 174,762 of SmolLM2-135M, and
 * the 2 GiB that most GPUs bind 16 times that: at least 524,288, which is 32 sequences of 16,384. Only
 * models without grouped heads (32 of 128: 16,384 and 8,192 in 128 MiB) come close to it.
 */
export function blocksInBinding(
  { layerMemory }: Pick<ModelCosts, "layerMemory">,
  { usesF16Kv, maxBindingBytes }: Pick<PoolDevice, "usesF16Kv" | "maxBindingBytes">,
): number {
  const blockBytes = Math.max(
    ...layerMemory.map(({ largestBlockBytes: { f16, f32 } }) => usesF16Kv ? f16 : f32),
  );
  return blockBytes === 0 ? Infinity : Math.floor(maxBindingBytes / blockBytes);
}

/** The most blocks that every stage has room for beside its weights and buffers, and a use for. */
export function largestPool(
  model: ModelCosts,
  stages: readonly PoolStage[],
  { mostBlocks, mostSoftwareBlocks }: PoolBounds,
): number {
  const costs = new StageCosts(model, { peers: [], numBlocks: 0 });
  return Math.min(
    mostBlocks,
    ...stages.map((stage) => {
      const { shard, memoryBytes, usesF16Kv, isSoftware } = stage;
      const freeBytes = memoryBytes - costs.fixedBytes(shard);
      const blockBytes = costs.blockBytes({ ...shard, usesF16Kv });
      // A stage whose layers keep no blocks has room for any number, if for itself.
      const mostFree = blockBytes === 0 ? Infinity : Math.floor(freeBytes / blockBytes);
      return Math.min(
        freeBytes < 0 ? 0 : mostFree,
        blocksInBinding(model, stage),
        isSoftware ? mostSoftwareBlocks : Infinity,
      );
    }),
  );
}
