import type { Clock, Store } from "../platform/platform.ts";
import { CHUNK_BYTES, ChunkCache, type ChunkPlace, chunkRange } from "./chunk_cache.ts";
import { within } from "./deadline.ts";
import { FileRanges, type ReadFileRange } from "./file_ranges.ts";
import type { HttpOptions } from "./http_range.ts";
import type { ManifestTensor, ShardManifest } from "./shard_manifest.ts";

/** What a ShardReader reads from. */
export interface ShardReaderOptions {
  readonly manifest: ShardManifest;
  /** Where chunks stay, for the next load; null where the coordinator's files are as near. */
  readonly cache: Store | null;
  /** For the files' URLs. Its signal ends all reads. */
  readonly http: HttpOptions;
  readonly readFromCoordinator: ReadFileRange;
}

/** Read ahead of what is asked for, at most: of both the smaller. */
const AHEAD_BYTES = 16 << 20;
const AHEAD_CHUNKS = 8;

/**
 * For one chunk, behind those before it. In about one of 10 loads by two tabs of Chromium 156 at
 * once, a call to the browser's private file system never came back.
 */
const CACHE_DEADLINE_MS = 20_000;

/**
 * Reads the tensors of a shard: from the cache, else from their files' URLs, else from the
 * coordinator. Reads in the manifest's order are quickest: what follows is fetched meanwhile.
 */
export class ShardReader {
  readonly #ranges: FileRanges;
  readonly #clock: Clock;
  readonly #manifest: ShardManifest;
  readonly #cache: ChunkCache | null;
  /** All chunks in the manifest's order, and where each tensor's begin. */
  readonly #chunks: readonly ChunkPlace[];
  readonly #firstChunks: ReadonlyMap<ManifestTensor, number>;
  /** Chunks under way, or here and wanted soon. */
  readonly #loads = new Map<number, { readonly bytes: Promise<Uint8Array>; isSettled: boolean }>();
  /** The last chunk that was asked for. */
  #position = -1;
  #cacheError: Error | null = null;

  constructor({ manifest, cache, http, readFromCoordinator }: ShardReaderOptions) {
    this.#manifest = manifest;
    this.#clock = http.clock;
    this.#cache = cache && new ChunkCache(cache);
    this.#ranges = new FileRanges({ http, readFromCoordinator });
    const chunks: ChunkPlace[] = [];
    const firstChunks = new Map<ManifestTensor, number>();
    for (const tensor of manifest.tensors) {
      firstChunks.set(tensor, chunks.length);
      const fileKey = manifest.files[tensor.file]!.key;
      for (let index = 0; index * CHUNK_BYTES < tensor.byteLength; index++) {
        chunks.push({ fileKey, tensor, index });
      }
    }
    this.#chunks = chunks;
    this.#firstChunks = firstChunks;
  }

  /** Bytes that came over the network so far. */
  get downloadedBytes(): number {
    return this.#ranges.downloadedBytes;
  }

  /** Why chunks are not kept any more; null while they are. */
  get cacheError(): Error | null {
    return this.#cacheError;
  }

  /**
   * Bytes [start, end) of a tensor of the manifest, both inside it. Throws a ShardReadError when no
   * source has them, or the signal's reason.
   */
  async read(
    tensor: ManifestTensor,
    { start, end }: { readonly start: number; readonly end: number },
  ): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    if (bytes.length === 0) return bytes;
    const firstOfTensor = this.#firstChunks.get(tensor)!;
    const first = firstOfTensor + Math.floor(start / CHUNK_BYTES);
    const last = firstOfTensor + Math.floor((end - 1) / CHUNK_BYTES);
    const isNext = first === this.#position || first === this.#position + 1;
    this.#position = last;
    this.#forget(first, last);
    const loads = this.#loadAll(first, last);
    if (isNext) this.#readAhead(last + 1);
    for (const [i, load] of loads.entries()) {
      const chunk = chunkRange(this.#chunks[first + i]!);
      const from = Math.max(start, chunk.start);
      const to = Math.min(end, chunk.end);
      bytes.set((await load).subarray(from - chunk.start, to - chunk.start), from - start);
    }
    return bytes;
  }

  #loadAll(first: number, last: number): Promise<Uint8Array>[] {
    return Array.from({ length: last - first + 1 }, (_, i) => this.#load(first + i));
  }

  #readAhead(from: number): void {
    let aheadBytes = 0;
    for (let i = from; i < Math.min(from + AHEAD_CHUNKS, this.#chunks.length); i++) {
      const { start, end } = chunkRange(this.#chunks[i]!);
      aheadBytes += end - start;
      if (aheadBytes > AHEAD_BYTES) return;
      this.#load(i);
    }
  }

  /** Drops what is here and not wanted; what is under way would be asked for twice. */
  #forget(first: number, last: number): void {
    for (const [i, { isSettled }] of this.#loads) {
      if (isSettled && (i < first || i > last + AHEAD_CHUNKS)) this.#loads.delete(i);
    }
  }

  #load(i: number): Promise<Uint8Array> {
    const known = this.#loads.get(i);
    if (known !== undefined) return known.bytes;
    const bytes = this.#chunk(this.#chunks[i]!);
    const load = { bytes, isSettled: false };
    this.#loads.set(i, load);
    // A chunk that was read ahead may fail before anyone waits for it.
    bytes.then(() => load.isSettled = true, () => this.#loads.delete(i));
    return bytes;
  }

  async #chunk(place: ChunkPlace): Promise<Uint8Array> {
    const kept = await this.#useCache((cache) => cache.read(place));
    if (kept !== null) return kept;
    const { start, end } = chunkRange(place);
    const { tensor } = place;
    const file = this.#manifest.files[(tensor as ManifestTensor).file]!;
    const range = { start: tensor.offset + start, end: tensor.offset + end };
    const bytes = await this.#ranges.read(file, range);
    await this.#useCache((cache) => cache.write(place, bytes));
    return bytes;
  }

  /** A cache that fails or hangs costs the next start time, not this one its shard. */
  async #useCache<T>(action: (cache: ChunkCache) => Promise<T>): Promise<T | null> {
    if (this.#cache === null || this.#cacheError !== null) return null;
    try {
      return await within(action(this.#cache), {
        clock: this.#clock,
        ms: CACHE_DEADLINE_MS,
        expired: () => new Error(`The cache did not answer within ${CACHE_DEADLINE_MS / 1000} s`),
      });
    } catch (error) {
      this.#cacheError = error as Error;
      return null;
    }
  }
}
