import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Store } from "../../src/platform/platform.ts";
import { CHUNK_BYTES, heldBytes, heldFiles } from "../../src/weights/chunk_cache.ts";
import { openManifestModel } from "../../src/weights/manifest_model.ts";
import { MemoryStore } from "../../src/weights/memory_store.ts";
import type { ShardManifest } from "../../src/weights/shard_manifest.ts";
import { ShardReader, type ShardReaderOptions } from "../../src/weights/shard_reader.ts";
import { FAST_CLOCK } from "./fast_clock.ts";
import { type FileServer, startFileServer } from "./file_server.ts";

/** A tensor of three chunks between two small ones. */
const SIZES = [1000, 2 * CHUNK_BYTES + 12, 24] as const;
const OFFSETS = [100, 1100, 1100 + SIZES[1]] as const;
const FILE_BYTES = OFFSETS[2] + SIZES[2] + 50;
const FILE = Uint8Array.from({ length: FILE_BYTES }, (_, i) => (i * 31) ^ (i >> 9));
const KEY = "5a".repeat(32);
const TOTAL = SIZES[0] + SIZES[1] + SIZES[2];

let server: FileServer;
let cache: MemoryStore;
beforeEach(async () => {
  server = await startFileServer();
  server.files.set("/f", { bytes: FILE });
  cache = new MemoryStore();
});
afterEach(() => server.close());

function manifest(urls: readonly string[] = []): ShardManifest {
  return {
    name: "m",
    hfConfig: {},
    files: [{ key: KEY, sizeBytes: FILE_BYTES, urls }],
    tensors: SIZES.map((byteLength, i) => ({
      name: `t${i}`,
      format: "f32" as const,
      shape: [byteLength / 4],
      offset: OFFSETS[i]!,
      byteLength,
      file: 0,
    })),
  };
}

function cacheThatWrites(write: Store["write"]): Store {
  return {
    write,
    size: (key) => cache.size(key),
    read: (key, range) => cache.read(key, range),
    rename: (from, to) => cache.rename(from, to),
    remove: (key) => cache.remove(key),
    list: (prefix) => cache.list(prefix),
  };
}

interface Setup extends Partial<ShardReaderOptions> {
  readonly urls?: readonly string[];
  readonly signal?: AbortSignal;
}

/** A reader and its model; the coordinator's reads are listed in `asked`. */
function open({ urls = [], signal, ...options }: Setup = {}) {
  const asked: string[] = [];
  const given = manifest(urls);
  const reader = new ShardReader({
    manifest: given,
    cache,
    http: { fetch, clock: FAST_CLOCK, ...(signal && { signal }) },
    readFromCoordinator: (key, { start, end }) => {
      expect(key).toBe(KEY);
      asked.push(`${start}-${end}`);
      return Promise.resolve(FILE.slice(start, end));
    },
    ...options,
  });
  const model = openManifestModel(given, {
    readRange: (tensor, range) => reader.read(tensor, range),
  });
  return { reader, model, asked };
}

/** Reads all tensors in their order, pieces of a few chunks each, as a loader does. */
async function readAll({ model }: Pick<ReturnType<typeof open>, "model">): Promise<void> {
  const step = CHUNK_BYTES + 4096;
  for (const { name, byteLength, offset } of model.tensors.values()) {
    for (let start = 0; start < byteLength; start += step) {
      const end = Math.min(byteLength, start + step);
      const bytes = await model.readTensor(name, { start, end });
      expect(Buffer.compare(bytes, FILE.subarray(offset + start, offset + end))).toBe(0);
    }
  }
}

/** Key of the large tensor's entry. */
const ENTRY = `shards/${KEY}/${OFFSETS[1]}-${SIZES[1]}`;

describe("ShardReader", () => {
  test("reads from the coordinator what has no URL, each byte once, and counts it", async () => {
    const opened = open();
    await readAll(opened);
    expect(opened.reader.downloadedBytes).toBe(TOTAL);
    expect(opened.asked.toSorted()).toEqual([
      `${OFFSETS[0]}-${OFFSETS[0] + SIZES[0]}`,
      `${OFFSETS[1]}-${OFFSETS[1] + CHUNK_BYTES}`,
      `${OFFSETS[1] + CHUNK_BYTES}-${OFFSETS[1] + 2 * CHUNK_BYTES}`,
      `${OFFSETS[1] + 2 * CHUNK_BYTES}-${OFFSETS[1] + SIZES[1]}`,
      `${OFFSETS[2]}-${OFFSETS[2] + SIZES[2]}`,
    ].toSorted());
  });

  test("reads by URL without the coordinator, and only what the shard needs", async () => {
    const opened = open({ urls: [`${server.url}/f`] });
    await readAll(opened);
    expect(opened.asked).toEqual([]);
    expect(opened.reader.downloadedBytes).toBe(TOTAL);
    expect(server.requests.every((request) => /^\/f bytes=\d+-\d+$/.test(request))).toBe(true);
  });

  test("a second load downloads nothing", async () => {
    await readAll(open());
    const again = open();
    await readAll(again);
    expect(again.reader.downloadedBytes).toBe(0);
    expect(again.asked).toEqual([]);
  });

  test("a load that was cut off goes on with the chunks that are missing", async () => {
    const first = open();
    await first.model.readTensor("t0");
    await first.model.readTensor("t1");
    // What was read ahead may be kept as well: only the last chunk is taken away here.
    await cache.write(`${ENTRY}.sha256`, new Uint8Array(32), 64);
    const again = open();
    await readAll(again);
    expect(again.asked).toContain(`${OFFSETS[1] + 2 * CHUNK_BYTES}-${OFFSETS[1] + SIZES[1]}`);
    expect(again.reader.downloadedBytes).toBeLessThan(CHUNK_BYTES);
  });

  test("what was written without its hash does not count", async () => {
    await cache.write(ENTRY, new Uint8Array(SIZES[1]), 0);
    await readAll(open());
  });

  test("a damaged chunk is read again from the network, and mended", async () => {
    await readAll(open());
    await cache.write(ENTRY, Uint8Array.of(1, 2, 3), CHUNK_BYTES + 5);
    const again = open();
    await readAll(again);
    expect(again.asked).toEqual([
      `${OFFSETS[1] + CHUNK_BYTES}-${OFFSETS[1] + 2 * CHUNK_BYTES}`,
    ]);
    const third = open();
    await readAll(third);
    expect(third.reader.downloadedBytes).toBe(0);
  });

  test.each([
    ["gone", { bytes: new Uint8Array(0), statuses: Array(99).fill(404) }],
    ["refused", { bytes: FILE, statuses: Array(99).fill(403) }],
    ["another file", { bytes: FILE.subarray(1) }],
    ["not served by range", { bytes: FILE, ignoresRange: true }],
  ])("a URL that is %s leads to the coordinator, and is not asked again", async (_, file) => {
    server.files.set("/f", file);
    const opened = open({ urls: [`${server.url}/f`] });
    await opened.model.readTensor("t0");
    const numRequests = server.requests.length;
    await readAll(opened);
    expect(opened.asked.length).toBeGreaterThan(0);
    // Chunks that were read ahead had asked already.
    expect(server.requests.length - numRequests).toBeLessThanOrEqual(4);
  });

  test("a second URL is taken before the coordinator", async () => {
    const opened = open({ urls: [`${server.url}/none`, `${server.url}/f`] });
    await readAll(opened);
    expect(opened.asked).toEqual([]);
  });

  test("a coordinator that stumbles is asked again", async () => {
    let numFailures = 0;
    const opened = open({
      readFromCoordinator: (_, { start, end }) => {
        if (numFailures++ % 3 === 0) return Promise.reject(new Error("busy"));
        // A short answer is as good as none.
        if (numFailures % 3 === 2) return Promise.resolve(FILE.slice(start, end - 1));
        return Promise.resolve(FILE.slice(start, end));
      },
    });
    expect(await opened.model.readTensor("t0"))
      .toEqual(FILE.slice(OFFSETS[0], OFFSETS[0] + SIZES[0]));
    expect(opened.reader.downloadedBytes).toBeGreaterThanOrEqual(SIZES[0]);
  });

  test("without any source the error says what was tried", async () => {
    let numReads = 0;
    const opened = open({
      urls: [`${server.url}/none`],
      readFromCoordinator: () => {
        numReads++;
        return Promise.reject(new Error("the link closed"));
      },
    });
    const failure = await opened.model.readTensor("t2").catch((error) => error);
    expect(failure).toMatchObject({ name: "ShardReadError" });
    expect(failure.message).toContain("answered 404");
    expect(failure.message).toContain("the coordinator: the link closed");
    expect(numReads).toBe(4);
  });

  test("an abort ends a read with the signal's reason, and nobody is asked any more", async () => {
    const abort = new AbortController();
    let numReads = 0;
    const opened = open({
      signal: abort.signal,
      readFromCoordinator: () => {
        numReads++;
        queueMicrotask(() => abort.abort(new Error("enough")));
        return new Promise(() => {});
      },
    });
    await expect(opened.model.readTensor("t2")).rejects.toThrow("enough");
    expect(numReads).toBe(1);
  });

  test("a cache that never answers is given up, and the load goes on without it", async () => {
    const opened = open({ cache: cacheThatWrites(() => new Promise(() => {})) });
    await readAll(opened);
    expect(opened.reader.cacheError?.message).toContain("did not answer");
  });

  test("a cache that is full costs nothing but the next load's time", async () => {
    const opened = open({ cache: cacheThatWrites(() => Promise.reject(new Error("no room"))) });
    await readAll(opened);
    expect(opened.reader.cacheError?.message).toBe("no room");
    expect(opened.reader.downloadedBytes).toBe(TOTAL);
  });

  test("ranges outside a tensor and unknown tensors are refused", async () => {
    const { model } = open();
    await expect(model.readTensor("t0", { start: 0, end: SIZES[0] + 1 })).rejects
      .toThrow(RangeError);
    await expect(model.readTensor("t9")).rejects.toThrow('no readable tensor "t9"');
    expect(await model.readTensor("t0", { start: 8, end: 8 })).toHaveLength(0);
  });
});

describe("what a peer holds", () => {
  test("is told by file and for a manifest", async () => {
    expect(await heldFiles(cache)).toEqual([]);
    expect(await heldBytes(cache, manifest())).toBe(0);
    await readAll(open());
    expect(await heldFiles(cache)).toEqual([{ key: KEY, bytes: TOTAL }]);
    expect(await heldBytes(cache, manifest())).toBe(TOTAL);
    const other = { ...manifest(), files: [{ ...manifest().files[0]!, key: "0".repeat(64) }] };
    expect(await heldBytes(cache, other)).toBe(0);
  });

  test("counts whole chunks only, and nothing that has another name", async () => {
    const { model } = open();
    await model.readTensor("t1", { start: 2 * CHUNK_BYTES, end: SIZES[1] });
    await cache.write("shards/README", Uint8Array.of(1), 0);
    await cache.write(`shards/${KEY}/0-8.sha256`, new Uint8Array(31).fill(1), 0);
    expect(await heldFiles(cache)).toEqual([{ key: KEY, bytes: SIZES[1] - 2 * CHUNK_BYTES }]);
  });
});
