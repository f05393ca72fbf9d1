/**
 * What a layer keeps of the tokens it has seen: K and V, one latent row for each token, or a state
 * of fixed size for each sequence. Everything that allocates or adds up this memory asks here.
 *
 * @module
 */
import { kvBytes, type KvCache } from "../kernels/kv_cache.ts";
import { latentBytes, type LatentCache } from "../kernels/latent_cache.ts";

/** What one layer keeps. Sizes in elements. */
export type LayerMemory =
  /** K and V of every token, each [numKvHeads, headDim], as `kvMemory` pads heads. */
  | { readonly type: "kv"; readonly numKvHeads: number; readonly headDim: number }
  /** One row of every token that all heads share: a latent and the rotated part of its key. */
  | { readonly type: "latent"; readonly latentDim: number; readonly ropeDim: number }
  /** f32 elements of each of its buffers for one slot, whatever the length of the sequence. */
  | { readonly type: "state"; readonly columns: Readonly<Record<string, number>> };

/** The memory of one layer on the GPU. */
export type LayerCache =
  | { readonly type: "kv" } & KvCache
  | { readonly type: "latent" } & LatentCache
  | { readonly type: "state" } & StateCache;

/** States of linear attention: each buffer is f32 [numSlots, columns]. */
export interface StateCache {
  readonly columns: Readonly<Record<string, number>>;
  /** By the names of `columns`. */
  readonly buffers: Readonly<Record<string, GPUBuffer>>;
  /** Those of the running sequences, then the saved ones. */
  readonly numSlots: number;
}

/** How much a layer's memory has room for. */
export interface MemoryRoom {
  readonly isF16: boolean;
  readonly numBlocks: number;
  /** Running sequences and saved states. */
  readonly numSlots: number;
}

/** K and V of every head, whose sizes the kernels read four at a time: others end with zeros. */
export function kvMemory(
  { numKvHeads, headDim }: { readonly numKvHeads: number; readonly headDim: number },
): LayerMemory {
  return { type: "kv", numKvHeads, headDim: paddedHeadDim(headDim) };
}

/** Elements of a head in the cache. */
export function paddedHeadDim(headDim: number): number {
  return Math.ceil(headDim / 4) * 4;
}

/** Bytes of each buffer of one layer. States stay f32. */
export function layerMemoryBytes(
  memory: LayerMemory,
  { isF16, numBlocks, numSlots }: MemoryRoom,
): Record<string, number> {
  switch (memory.type) {
    case "kv": {
      const sizeBytes = kvBytes({ ...memory, isF16 }, numBlocks);
      return { keys: sizeBytes, values: sizeBytes };
    }
    case "latent":
      return { latents: latentBytes({ ...memory, isF16 }, numBlocks) };
    case "state":
      return Object.fromEntries(
        Object.entries(memory.columns).map(([name, columns]) => [name, numSlots * columns * 4]),
      );
    default:
      return memory satisfies never;
  }
}

/** The memory of one layer from the buffers of `layerMemoryBytes`. */
export function layerCache(
  memory: LayerMemory,
  buffers: Readonly<Record<string, GPUBuffer>>,
  { isF16, numSlots }: Pick<MemoryRoom, "isF16" | "numSlots">,
): LayerCache {
  switch (memory.type) {
    case "kv":
      return { ...memory, isF16, k: buffers["keys"]!, v: buffers["values"]! };
    case "latent":
      return { ...memory, isF16, latents: buffers["latents"]! };
    case "state":
      return { ...memory, buffers, numSlots };
    default:
      return memory satisfies never;
  }
}

/** Latents of a layer that keeps them. */
export function latentCacheOf(cache: LayerCache): LatentCache {
  if (cache.type === "latent") return cache;
  throw new Error(`The layer keeps "${cache.type}", not latents`);
}

/** A buffer of a layer that keeps states. */
export function stateBufferOf(cache: LayerCache, name: string): GPUBuffer {
  const buffer = cache.type === "state" ? cache.buffers[name] : undefined;
  if (buffer !== undefined) return buffer;
  throw new Error(`The layer keeps "${cache.type}", no state "${name}"`);
}

/** K and V of a layer that keeps them. */
export function kvCacheOf(cache: LayerCache): KvCache {
  if (cache.type === "kv") return cache;
  throw new Error(`The layer keeps "${cache.type}", not K and V`);
}
