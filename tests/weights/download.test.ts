import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Download, download, type DownloadProgress } from "../../src/weights/download.ts";
import type { HttpOptions } from "../../src/weights/http_range.ts";
import { MemoryStore } from "../../src/weights/memory_store.ts";
import { FAST_CLOCK } from "./fast_clock.ts";
import { type FileServer, startFileServer } from "./file_server.ts";

const BYTES = Uint8Array.from({ length: 6_000_000 }, (_, i) => (i * 7) ^ (i >> 8));
const SHA256 = createHash("sha256").update(BYTES).digest("hex");
const HTTP: HttpOptions = { fetch, clock: FAST_CLOCK, maxAttempts: 1 };

let server: FileServer;
let store: MemoryStore;
beforeAll(async () => {
  server = await startFileServer();
});
beforeEach(() => {
  store = new MemoryStore();
  server.requests.length = 0;
});
afterAll(() => server.close());

function task(extra: Partial<Download> = {}): Download {
  return {
    url: `${server.url}/model`,
    file: "model",
    store,
    key: "done/model",
    partialKey: "blobs/model.incomplete",
    ...extra,
  };
}

async function expectDone(): Promise<void> {
  expect(await store.list("")).toEqual(["done/model"]);
  const bytes = await store.read("done/model", { start: 0, end: BYTES.length });
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(SHA256);
}

test("a file arrives under its name, with progress", async () => {
  server.files.set("/model", { bytes: BYTES });
  const progress: DownloadProgress[] = [];
  await download(task({ sha256: SHA256, onProgress: (step) => progress.push(step) }), HTTP);
  await expectDone();
  expect(progress.at(-1)).toMatchObject({
    file: "model",
    receivedBytes: BYTES.length,
    totalBytes: BYTES.length,
    remainingMs: 0,
  });
  expect(progress.at(-1)!.bytesPerSecond).toBeGreaterThan(0);
});

test("a dropped download goes on where it stopped", async () => {
  server.files.set("/model", { bytes: BYTES, cuts: [5_000_000] });
  await expect(download(task({ sha256: SHA256 }), HTTP)).rejects.toThrow();
  const numKept = await store.size("blobs/model.incomplete");
  expect(numKept).toBeGreaterThan(1_000_000);
  expect(await store.size("done/model")).toBeNull();

  await download(task({ sha256: SHA256 }), HTTP);
  expect(server.requests).toEqual(["/model bytes=0-", `/model bytes=${numKept}-`]);
  await expectDone();
});

test("without a hash, a validator decides whether to go on", async () => {
  server.files.set("/model", { bytes: BYTES, etag: '"1"', cuts: [5_000_000] });
  await expect(download(task(), HTTP)).rejects.toThrow();
  await download(task(), HTTP);
  expect(server.requests[1]).toMatch(/bytes=[1-9]/);
  await expectDone();
});

test("the beginning of another version is thrown away", async () => {
  server.files.set("/model", { bytes: BYTES.slice().fill(1), etag: '"1"', cuts: [5_000_000] });
  await expect(download(task(), HTTP)).rejects.toThrow();
  server.files.set("/model", { bytes: BYTES, etag: '"2"' });
  await download(task(), HTTP);
  await expectDone();
});

test("without a hash or a validator it starts again", async () => {
  await store.write("blobs/model.incomplete", new Uint8Array(1000), 0);
  server.files.set("/model", { bytes: BYTES });
  await download(task(), HTTP);
  expect(server.requests).toEqual(["/model bytes=0-"]);
  await expectDone();
});

test("a server that ignores ranges still completes a beginning", async () => {
  await store.write("blobs/model.incomplete", BYTES.slice(0, 4_500_000), 0);
  server.files.set("/model", { bytes: BYTES, ignoresRange: true });
  await download(task({ sha256: SHA256 }), HTTP);
  await expectDone();
});

test("a damaged beginning is fetched again", async () => {
  await store.write("blobs/model.incomplete", new Uint8Array(1_000_000), 0);
  server.files.set("/model", { bytes: BYTES });
  await download(task({ sha256: SHA256 }), HTTP);
  expect(server.requests).toEqual(["/model bytes=1000000-", "/model bytes=0-"]);
  await expectDone();
});

test("a complete beginning needs no request", async () => {
  await store.write("blobs/model.incomplete", BYTES, 0);
  await download(task({ sha256: SHA256, sizeBytes: BYTES.length }), HTTP);
  expect(server.requests).toEqual([]);
  await expectDone();
});

test("a file with another hash is removed and reported", async () => {
  server.files.set("/model", { bytes: BYTES.slice().fill(3) });
  await expect(download(task({ sha256: SHA256 }), HTTP)).rejects.toThrow(/arrived damaged/);
  expect(await store.list("")).toEqual([]);
});

test("a file of another size is refused before it is fetched", async () => {
  server.files.set("/model", { bytes: BYTES });
  await expect(download(task({ sizeBytes: 5 }), HTTP)).rejects.toThrow(
    "another file than expected",
  );
  expect(await store.list("")).toEqual([]);
});

test("an empty file is a file", async () => {
  server.files.set("/model", { bytes: new Uint8Array(0) });
  await download(task(), HTTP);
  expect(await store.size("done/model")).toBe(0);
});

test("an abort keeps what arrived", async () => {
  server.files.set("/model", { bytes: BYTES, etag: '"1"' });
  const abort = new AbortController();
  const onProgress = () => abort.abort(new Error("enough"));
  await expect(download(task({ onProgress }), { ...HTTP, signal: abort.signal }))
    .rejects.toThrow("enough");
  expect(await store.size("blobs/model.incomplete")).toBeGreaterThan(0);
});
