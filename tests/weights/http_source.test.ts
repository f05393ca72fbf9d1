import { afterAll, beforeAll, expect, test } from "vitest";
import { FetchError, type HttpOptions } from "../../src/weights/http_range.ts";
import { openHttpSource } from "../../src/weights/http_source.ts";
import { FAST_CLOCK } from "./fast_clock.ts";
import { type FileServer, startFileServer } from "./file_server.ts";

const BYTES = Uint8Array.from({ length: 600_000 }, (_, i) => (i * 7) ^ (i >> 8));
const OPTIONS: HttpOptions = { fetch, clock: FAST_CLOCK };

let server: FileServer;
beforeAll(async () => {
  server = await startFileServer();
});
afterAll(() => server.close());

test("a read asks for its range only", async () => {
  server.files.set("/range.gguf", { bytes: BYTES, etag: '"1"' });
  const source = await openHttpSource(`${server.url}/range.gguf`, OPTIONS);
  expect(source.size).toBe(BYTES.length);
  server.requests.length = 0;
  expect(await source.read(10, 20)).toEqual(BYTES.slice(10, 20));
  expect(await source.read(500_000, 500_100)).toEqual(BYTES.slice(500_000, 500_100));
  expect(server.requests).toEqual(["/range.gguf bytes=500000-500099"]);
  await expect(source.read(0, BYTES.length + 1)).rejects.toThrow(RangeError);
});

test("redirects are followed, and the range with them", async () => {
  server.files.set("/there", { bytes: BYTES });
  server.files.set("/moved", { bytes: new Uint8Array(0), location: `${server.url}/there` });
  const source = await openHttpSource(`${server.url}/moved`, OPTIONS);
  expect(await source.read(500_000, 500_100)).toEqual(BYTES.slice(500_000, 500_100));
  expect(server.requests.at(-1)).toBe("/there bytes=500000-500099");
});

test("a large file that ignores ranges is refused", async () => {
  const bytes = new Uint8Array(65 << 20);
  server.files.set("/large", { bytes, ignoresRange: true });
  await expect(openHttpSource(`${server.url}/large`, OPTIONS))
    .rejects.toThrow("is not served by range: download it and pass its path");
});

test("a small file that ignores ranges is kept whole", async () => {
  server.files.set("/plain", { bytes: BYTES, ignoresRange: true });
  const source = await openHttpSource(`${server.url}/plain`, OPTIONS);
  expect(await source.read(400_000, 600_000)).toEqual(BYTES.slice(400_000, 600_000));
});

test("an empty file is empty", async () => {
  server.files.set("/empty", { bytes: new Uint8Array(0) });
  expect((await openHttpSource(`${server.url}/empty`, OPTIONS)).size).toBe(0);
});

test("dropped connections and busy servers cost time, not bytes", async () => {
  server.files.set("/flaky", {
    bytes: BYTES,
    cuts: [1000, 2000, 100_000],
    statuses: [503, 200, 429, 500],
  });
  const source = await openHttpSource(`${server.url}/flaky`, OPTIONS);
  expect(await source.read(0, BYTES.length)).toEqual(BYTES);
});

test("a refusal is not tried again", async () => {
  server.requests.length = 0;
  const failure = await openHttpSource(`${server.url}/none?token=secret`, OPTIONS)
    .catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(FetchError);
  expect(failure).toMatchObject({ status: 404 });
  expect((failure as Error).message).not.toContain("secret");
  expect(server.requests).toHaveLength(1);
});

test("a server that is always busy is given up", async () => {
  server.files.set("/busy", { bytes: BYTES, statuses: Array(99).fill(503) });
  server.requests.length = 0;
  await expect(openHttpSource(`${server.url}/busy`, { ...OPTIONS, maxAttempts: 3 }))
    .rejects.toMatchObject({ status: 503 });
  expect(server.requests).toHaveLength(3);
});

test("an answer for another range is refused", async () => {
  server.files.set("/wrong", { bytes: BYTES, contentRange: "bytes 5-9/600000" });
  await expect(openHttpSource(`${server.url}/wrong`, OPTIONS))
    .rejects.toThrow('answered "bytes 5-9/600000" to a request for byte 0');
});

test("a server that cannot be reached is a FetchError without a status", async () => {
  const gone = await startFileServer();
  await gone.close();
  await expect(openHttpSource(`${gone.url}/x`, { ...OPTIONS, maxAttempts: 2 }))
    .rejects.toMatchObject({ name: "FetchError", status: null });
});

test("a file that changes under the reader is an error", async () => {
  server.files.set("/changing", { bytes: BYTES, etag: '"1"' });
  const source = await openHttpSource(`${server.url}/changing`, OPTIONS);
  server.files.set("/changing", { bytes: BYTES.slice().fill(0), etag: '"2"' });
  await expect(source.read(400_000, 500_000)).rejects.toThrow("changed while it was read");
});

test("a silent server runs into the deadline", async () => {
  server.files.set("/silent", { bytes: BYTES, hangs: true });
  await expect(
    openHttpSource(`${server.url}/silent`, { ...OPTIONS, stallMs: 10_000, maxAttempts: 1 }),
  ).rejects.toThrow("No byte arrived for 10 s");
});

test("an abort ends a read with the signal's reason", async () => {
  server.files.set("/hanging", { bytes: BYTES, hangs: true });
  const abort = new AbortController();
  setTimeout(() => abort.abort(new Error("enough")), 50);
  await expect(openHttpSource(`${server.url}/hanging`, { ...OPTIONS, signal: abort.signal }))
    .rejects.toThrow("enough");
});
