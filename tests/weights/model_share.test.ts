import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ByteSource } from "../../src/formats/byte_source.ts";
import { fileKey } from "../../src/weights/file_key.ts";
import { openGgufModel } from "../../src/weights/gguf_model.ts";
import { openHubModel } from "../../src/weights/hub_model.ts";
import { MemorySource } from "../../src/weights/memory_source.ts";
import { MemoryStore } from "../../src/weights/memory_store.ts";
import { storeFiles } from "../../src/weights/model_files.ts";
import { MAX_SHARED_READ_BYTES, ModelShare } from "../../src/weights/model_share.ts";
import type { ModelSource } from "../../src/weights/model_source.ts";
import { openSafetensorsModel } from "../../src/weights/safetensors_model.ts";
import { openUrlModel } from "../../src/weights/url_model.ts";
import { FAST_CLOCK } from "./fast_clock.ts";
import { type FileServer, startFileServer } from "./file_server.ts";
import { asBytes, ggufModel, shardedRepo } from "./model_fixture.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const HTTP = { fetch, clock: FAST_CLOCK, maxAttempts: 1 };
const NAMES = ["model.embed_tokens.weight", "model.norm.weight"];

let server: FileServer;
beforeEach(async () => {
  server = await startFileServer();
});
afterEach(() => server.close());

async function folder(files: Record<string, Uint8Array>): Promise<ModelSource> {
  const store = new MemoryStore();
  for (const [name, bytes] of Object.entries(files)) await store.write(name, bytes, 0);
  return await openSafetensorsModel(storeFiles(store, { prefix: "", name: "m" }), { name: "m" });
}

/** A hub with the sharded repository. */
function publish(): void {
  const repo = shardedRepo();
  const siblings = Object.entries(repo).map(([rfilename, bytes]) => ({
    rfilename,
    size: bytes.length,
  }));
  server.files.set("/api/models/org/name/revision/main?blobs=true", {
    bytes: asBytes(JSON.stringify({ sha: COMMIT, siblings })),
  });
  for (const [name, bytes] of Object.entries(repo)) {
    server.files.set(`/org/name/resolve/${COMMIT}/${name}`, { bytes });
  }
}

/** The bytes that a manifest's tensors have, read as peers read them. */
async function readShared(source: ModelSource, names = NAMES): Promise<Uint8Array[]> {
  const share = new ModelShare(source);
  const { files, tensors } = await share.manifest(names);
  return await Promise.all(
    tensors.map(({ file, offset, byteLength }) =>
      share.readFile(files[file]!.key, { start: offset, end: offset + byteLength })
    ),
  );
}

describe("ModelShare", () => {
  test("a folder of several files: each tensor by its file, no URLs", async () => {
    const source = await folder(shardedRepo());
    const manifest = await new ModelShare(source).manifest(NAMES);
    expect(manifest).toMatchObject({ name: "m", hfConfig: source.hfConfig });
    expect(manifest.tensors.map(({ name, file }) => [name, file]))
      .toEqual([[NAMES[0], 0], [NAMES[1], 1]]);
    expect(manifest.files.map(({ urls }) => urls)).toEqual([[], []]);
    expect(await readShared(source)).toEqual(
      await Promise.all(NAMES.map((name) => source.readTensor(name))),
    );
  });

  test("only the files that a shard needs, in the order of its tensors", async () => {
    const share = new ModelShare(await folder(shardedRepo()));
    const manifest = await share.manifest([NAMES[1]!, NAMES[1]!]);
    expect(manifest.tensors.map(({ name, file }) => [name, file])).toEqual([[NAMES[1], 0]]);
    expect(manifest.files).toHaveLength(1);
    await expect(share.manifest(["model.layers.9"])).rejects.toThrow(
      'tensor "model.layers.9" is missing',
    );
  });

  test("a GGUF file is shared by the Hugging Face names of its tensors", async () => {
    const bytes = ggufModel();
    const source = await openGgufModel(new MemorySource("tiny.gguf", bytes), { name: "tiny" });
    const [embedding] = await readShared(source, [NAMES[0]!]);
    expect(embedding).toEqual(await source.readTensor(NAMES[0]!));
    expect(embedding).toHaveLength(2048);
  });

  test("reads outside of shared files, or too long ones, are refused", async () => {
    const share = new ModelShare(await folder(shardedRepo()));
    const [file] = (await share.manifest([NAMES[0]!])).files;
    const { key, sizeBytes } = file!;
    const range = (start: number, end: number) => share.readFile(key, { start, end });
    for (
      const [start, end] of [[0, sizeBytes + 1], [-1, 2], [3, 2], [NaN, 2], [0, Infinity]] as const
    ) await expect(range(start, end)).rejects.toThrow(RangeError);
    await expect(share.readFile("0".repeat(64), { start: 0, end: 1 })).rejects.toThrow(RangeError);

    const large = { ...memorySource(), size: 2 * MAX_SHARED_READ_BYTES };
    const source = { ...await folder(shardedRepo()), fileOf: () => large };
    const shared = new ModelShare(source);
    const [largeFile] = (await shared.manifest([NAMES[0]!])).files;
    const read = (end: number) => shared.readFile(largeFile!.key, { start: 0, end });
    expect(await read(MAX_SHARED_READ_BYTES)).toHaveLength(MAX_SHARED_READ_BYTES);
    await expect(read(MAX_SHARED_READ_BYTES + 1)).rejects.toThrow("too long");
  });

  test("URLs that not everyone may read are left out", async () => {
    const urlsOf = async (urls: readonly string[]) => {
      const file = { ...memorySource(), origin: { urls, version: "1" } };
      const source = { ...await folder(shardedRepo()), fileOf: () => file };
      return (await new ModelShare(source).manifest([NAMES[0]!])).files[0]!.urls;
    };
    expect(
      await urlsOf([
        "https://a.example/x",
        "http://a.example/x",
        "http://127.0.0.1:8080/x",
        "https://me:secret@a.example/x",
        "file:///etc/passwd",
        "nonsense",
      ]),
    ).toEqual(["https://a.example/x"]);
  });
});

/** A file of zeros. */
function memorySource(): ByteSource {
  return {
    name: "zeros",
    size: 1 << 20,
    read: (start, end) => Promise.resolve(new Uint8Array(end - start)),
    close: () => Promise.resolve(),
  };
}

describe("a hub model for those who only hand it out", () => {
  const hub = () => ({ endpoint: server.url, isOffline: false, cache: new MemoryStore() });
  const spec = { id: "org/name", revision: "main", file: null };

  test("is opened by range: nothing is kept, texts are there, files have public URLs", async () => {
    publish();
    const options = { ...hub(), token: "hf_secret" };
    const source = await openHubModel(spec, options, { ...HTTP, isHeaderOnly: true });
    expect(await options.cache.list("")).toEqual([]);
    expect(await source.readText("tokenizer.json")).toBe("{}");
    expect(await source.readText("chat_template.jinja")).toBeNull();
    const manifest = await new ModelShare(source).manifest(NAMES);
    const files = [...new Set(NAMES.map((name) => source.fileOf(name)))];
    expect(files.map((file) => file?.origin?.urls)).toEqual([
      [`${server.url}/org/name/resolve/${COMMIT}/model-00001-of-00002.safetensors`],
      [`${server.url}/org/name/resolve/${COMMIT}/model-00002-of-00002.safetensors`],
    ]);
    expect(JSON.stringify(manifest)).not.toContain("hf_secret");
    expect(new Set(server.authorizations)).toEqual(new Set(["Bearer hf_secret"]));
    expect(await readShared(source)).toEqual(await readShared(await folder(shardedRepo())));
  });

  test("is used from the cache where it is there, with the same keys and URLs", async () => {
    publish();
    const options = hub();
    const remote = await openHubModel(spec, options, { ...HTTP, isHeaderOnly: true });
    await openHubModel(spec, options, HTTP);
    server.requests.length = 0;
    const cached = await openHubModel(spec, options, { ...HTTP, isHeaderOnly: true });
    expect(server.requests).toEqual([]);
    expect(await new ModelShare(cached).manifest(NAMES))
      .toEqual(await new ModelShare(remote).manifest(NAMES));
  });

  test("that is gated says so", async () => {
    publish();
    const path = `/org/name/resolve/${COMMIT}/config.json`;
    server.files.set(path, { bytes: asBytes("{}"), statuses: [403] });
    await expect(openHubModel(spec, hub(), { ...HTTP, isHeaderOnly: true }))
      .rejects.toThrow("accept its terms");
  });
});

describe("a model at a URL", () => {
  test("has its URL, unless only its owner may read it", async () => {
    server.files.set("/tiny.gguf", { bytes: ggufModel(), etag: '"1"' });
    server.files.set("/tiny.gguf?key=secret", { bytes: ggufModel(), etag: '"1"' });
    const urlsOf = async (url: string) => {
      const source = await openUrlModel(url, { ...HTTP, cache: null });
      return source.fileOf(NAMES[0]!)?.origin?.urls;
    };
    expect(await urlsOf(`${server.url}/tiny.gguf`)).toEqual([`${server.url}/tiny.gguf`]);
    expect(await urlsOf(`${server.url}/tiny.gguf?key=secret`)).toEqual([]);
  });

  test("is read by range by those who only hand it out, until it is in the cache", async () => {
    server.files.set("/tiny.gguf", { bytes: ggufModel() });
    const cache = new MemoryStore();
    const transport = { ...HTTP, cache, isHeaderOnly: true };
    await openUrlModel(`${server.url}/tiny.gguf`, transport);
    expect(await cache.list("")).toEqual([]);
    await openUrlModel(`${server.url}/tiny.gguf`, { ...HTTP, cache });
    server.requests.length = 0;
    await openUrlModel(`${server.url}/tiny.gguf`, transport);
    expect(server.requests).toEqual([]);
  });
});

describe("fileKey()", () => {
  const size = 3 << 20;
  const keyOf = (change: (bytes: Uint8Array) => void = () => {}) => {
    const bytes = Uint8Array.from({ length: size }, (_, i) => i % 253);
    change(bytes);
    return fileKey(new MemorySource("f", bytes));
  };

  test("is the same for the same content and another for another", async () => {
    const key = await keyOf();
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(await keyOf()).toBe(key);
    // The start, the end, and a tensor of 5 % in between, as a fine-tune changes some.
    expect(await keyOf((bytes) => bytes[5] = 0)).not.toBe(key);
    expect(await keyOf((bytes) => bytes[size - 1] = 0)).not.toBe(key);
    expect(await keyOf((bytes) => bytes.fill(9, size / 2, size / 2 + size / 20))).not.toBe(key);
  });

  test("goes by what the origin says, without a read", async () => {
    const source = (version: string) => ({
      ...memorySource(),
      origin: { urls: [], version },
      read: () => Promise.reject(new Error("was read")),
    });
    expect(await fileKey(source("a"))).toBe(await fileKey(source("a")));
    expect(await fileKey(source("a"))).not.toBe(await fileKey(source("b")));
  });

  test("short files have keys too", async () => {
    const keys = await Promise.all(
      [0, 1, 100].map((length) => fileKey(new MemorySource("f", new Uint8Array(length)))),
    );
    expect(new Set(keys).size).toBe(3);
  });
});
