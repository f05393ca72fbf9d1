import type { Store } from "../platform/platform.ts";
import type { ManifestTensor, ShardManifest } from "./shard_manifest.ts";

/** Bytes of a chunk; the last one of a tensor is shorter. */
export const CHUNK_BYTES = 4 << 20;

/** Where all entries lie. */
const PREFIX = "shards/";
const HASH_SUFFIX = ".sha256";
const HASH_BYTES = 32;

/** A chunk of a tensor. */
export interface ChunkPlace {
  /** Key of the tensor's file. */
  readonly fileKey: string;
  readonly tensor: Pick<ManifestTensor, "offset" | "byteLength">;
  /** Counts from 0 within the tensor. */
  readonly index: number;
}

/** A file of which a store holds something. */
export interface HeldFile {
  readonly key: string;
  readonly bytes: number;
}

/**
 * Chunks of tensors in a Store. A tensor is an entry `shards/<file key>/<offset>-<byteLength>`, in
 * which chunks may be missing; beside it lie their SHA-256, 32 bytes each, zeros for a missing one.
 * The hash is written last and checked with every read, so that neither a crash nor a damaged disk
 * gives wrong weights.
 */
export class ChunkCache {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The chunk, or null when it is missing or damaged. */
  async read(place: ChunkPlace): Promise<Uint8Array | null> {
    const key = entryKey(place);
    const known = await this.#hashes(key, place.index);
    if (known === null || !known.some((byte) => byte !== 0)) return null;
    const range = chunkRange(place);
    if ((await this.#store.size(key) ?? 0) < range.end) return null;
    const bytes = await this.#store.read(key, range);
    const hash = await sha256(bytes);
    return hash.every((byte, i) => byte === known[i]) ? bytes : null;
  }

  /** Keeps a chunk. Throws what the store throws, when it is full for one. */
  async write(place: ChunkPlace, bytes: Uint8Array): Promise<void> {
    const key = entryKey(place);
    await this.#store.write(key, bytes, chunkRange(place).start);
    await this.#store.write(key + HASH_SUFFIX, await sha256(bytes), place.index * HASH_BYTES);
  }

  async #hashes(key: string, index: number): Promise<Uint8Array | null> {
    const start = index * HASH_BYTES;
    const size = await this.#store.size(key + HASH_SUFFIX) ?? 0;
    return size < start + HASH_BYTES
      ? null
      : await this.#store.read(key + HASH_SUFFIX, { start, end: start + HASH_BYTES });
  }
}

/** Bytes [start, end) of the tensor that a chunk is. */
export function chunkRange(
  { tensor, index }: Pick<ChunkPlace, "tensor" | "index">,
): { readonly start: number; readonly end: number } {
  const start = index * CHUNK_BYTES;
  return { start, end: Math.min(tensor.byteLength, start + CHUNK_BYTES) };
}

/** Files of which `store` holds chunks, whoever asked for them. Damage is found when they are read. */
export async function heldFiles(store: Store): Promise<readonly HeldFile[]> {
  const held = new Map<string, number>();
  for (const hashKey of await store.list(PREFIX)) {
    const [, key, byteLength] = /^shards\/([0-9a-f]{64})\/\d+-(\d+)\.sha256$/.exec(hashKey) ?? [];
    if (key === undefined) continue;
    const bytes = await heldChunkBytes(store, hashKey, Number(byteLength));
    if (bytes > 0) held.set(key, (held.get(key) ?? 0) + bytes);
  }
  return [...held].map(([key, bytes]) => ({ key, bytes }));
}

/** Bytes of the manifest's tensors that `store` holds. */
export async function heldBytes(store: Store, manifest: ShardManifest): Promise<number> {
  let total = 0;
  for (const tensor of manifest.tensors) {
    const fileKey = manifest.files[tensor.file]!.key;
    const hashKey = entryKey({ fileKey, tensor }) + HASH_SUFFIX;
    total += await heldChunkBytes(store, hashKey, tensor.byteLength);
  }
  return total;
}

async function heldChunkBytes(store: Store, hashKey: string, byteLength: number): Promise<number> {
  const numChunks = Math.ceil(byteLength / CHUNK_BYTES);
  const size = Math.min(await store.size(hashKey) ?? 0, numChunks * HASH_BYTES);
  if (size === 0) return 0;
  const hashes = await store.read(hashKey, { start: 0, end: size });
  let bytes = 0;
  for (let index = 0; (index + 1) * HASH_BYTES <= hashes.length; index++) {
    const hash = hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
    const { start, end } = chunkRange({ tensor: { offset: 0, byteLength }, index });
    if (hash.some((byte) => byte !== 0)) bytes += end - start;
  }
  return bytes;
}

function entryKey({ fileKey, tensor }: Pick<ChunkPlace, "fileKey" | "tensor">): string {
  return `${PREFIX}${fileKey}/${tensor.offset}-${tensor.byteLength}`;
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}
