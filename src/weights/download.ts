/**
 * A file from the network into a Store: resumed where it stopped, checked before it counts.
 *
 * @module
 */
import type { Store } from "../platform/platform.ts";
import {
  FetchError,
  type HttpHead,
  type HttpOptions,
  readHttpRange,
  withoutQuery,
} from "./http_range.ts";
import { Sha256 } from "./sha256.ts";

/** How far a download is. */
export interface DownloadProgress {
  readonly file: string;
  readonly receivedBytes: number;
  /** Null when the server does not tell. */
  readonly totalBytes: number | null;
  /** Over this run, without what an earlier one left. */
  readonly bytesPerSecond: number;
  /** Null while it cannot be told. */
  readonly remainingMs: number | null;
}

/** What to fetch and where it goes. */
export interface Download {
  readonly url: string;
  /** What progress and errors call it. */
  readonly file: string;
  readonly store: Store;
  /** Where the checked file appears, all at once. */
  readonly key: string;
  /** Where its beginning is kept meanwhile. */
  readonly partialKey: string;
  readonly sizeBytes?: number | null;
  /** 64 hexadecimal digits. */
  readonly sha256?: string | null;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** A file that arrived but is not what it should be. */
export class DownloadError extends Error {
  override readonly name = "DownloadError";
}

const FLUSH_BYTES = 4 * 1024 * 1024;
const PROGRESS_MS = 200;

/** Fetches the file. Throws a FetchError or a DownloadError, or the signal's reason. */
export async function download(task: Download, http: HttpOptions): Promise<void> {
  const { store, partialKey } = task;
  const etagKey = `${partialKey}.etag`;
  const oldEtag = await readEntry(store, etagKey);
  // Without a hash, only an equal validator proves that the beginning belongs to this file.
  if (!task.sha256 && oldEtag === null) await store.remove(partialKey);
  if ((await store.size(partialKey) ?? 0) > (task.sizeBytes ?? Infinity)) {
    await store.remove(partialKey);
  }
  for (;;) {
    const numKept = await store.size(partialKey) ?? 0;
    try {
      await receive(task, { http, etagKey, oldEtag: numKept > 0 ? oldEtag : null });
      break;
    } catch (error) {
      const isStale = error instanceof DownloadError ||
        (error instanceof FetchError && (error.status === 416 || error.status === 412));
      if (!isStale) throw error;
      await store.remove(partialKey);
      await store.remove(etagKey);
      // A bad beginning may be to blame; what came in one go may not.
      if (numKept === 0) throw error;
    }
  }
  await publish(task);
  await store.remove(etagKey);
}

async function receive(
  { url, file, store, partialKey, onProgress, ...expected }: Download,
  { http, etagKey, oldEtag }: { http: HttpOptions; etagKey: string; oldEtag: string | null },
): Promise<void> {
  const { clock } = http;
  const numKept = await store.size(partialKey) ?? 0;
  let totalBytes = expected.sizeBytes ?? null;
  let numFlushed = numKept;
  let pending: Uint8Array[] = [];
  let numPending = 0;
  const hash = expected.sha256 ? new Sha256() : null;
  if (hash) await hashEntry(hash, { store, key: partialKey, end: numKept });

  const startMs = clock.now();
  let shownMs = -Infinity;
  const report = (isForced: boolean) => {
    const nowMs = clock.now();
    if (!onProgress || (!isForced && nowMs - shownMs < PROGRESS_MS)) return;
    shownMs = nowMs;
    const receivedBytes = numFlushed + numPending;
    const elapsedMs = nowMs - startMs;
    const bytesPerSecond = elapsedMs > 0 ? (receivedBytes - numKept) / elapsedMs * 1000 : 0;
    const remainingMs = totalBytes !== null && bytesPerSecond > 0
      ? (totalBytes - receivedBytes) / bytesPerSecond * 1000
      : null;
    onProgress({ file, receivedBytes, totalBytes, bytesPerSecond, remainingMs });
  };
  const flush = async () => {
    for (const chunk of pending) {
      await store.write(partialKey, chunk, numFlushed);
      hash?.update(chunk);
      numFlushed += chunk.length;
      numPending -= chunk.length;
    }
    pending = [];
  };
  let etag: string | null = null;
  const onHead = (head: HttpHead) => {
    totalBytes = head.totalBytes ?? totalBytes;
    etag = head.etag;
    const isSame = expected.sizeBytes == null || head.totalBytes === null ||
      head.totalBytes === expected.sizeBytes;
    if (!isSame || (oldEtag !== null && oldEtag !== etag)) {
      throw new FetchError(`"${withoutQuery(url)}" is another file than expected`, { status: 412 });
    }
  };
  if (totalBytes === null || numKept < totalBytes) {
    try {
      for await (const chunk of readHttpRange(url, { start: numKept, end: null, onHead }, http)) {
        if (numFlushed === 0 && numPending === 0 && etag !== null) {
          await writeEntry(store, etagKey, etag);
        }
        pending.push(chunk);
        numPending += chunk.length;
        report(false);
        if (numPending >= FLUSH_BYTES) {
          pending = [joinChunks(pending, numPending)];
          await flush();
        }
      }
    } finally {
      // Also after a failure or an abort: the next run goes on from here.
      if (numPending > 0) pending = [joinChunks(pending, numPending)];
      await flush();
    }
  }
  report(true);
  if (totalBytes !== null && numFlushed !== totalBytes) {
    throw new DownloadError(`"${file}" has ${numFlushed} bytes instead of ${totalBytes}`);
  }
  const digest = hash?.digest();
  if (digest !== undefined && digest !== expected.sha256) {
    throw new DownloadError(
      `"${file}" arrived damaged (sha256 ${digest} instead of ${expected.sha256}) and was removed: ` +
        "try again",
    );
  }
}

async function publish({ store, key, partialKey }: Download): Promise<void> {
  // An empty file has no partial.
  if (await store.size(partialKey) === null) await store.write(partialKey, new Uint8Array(0), 0);
  try {
    await store.rename(partialKey, key);
  } catch (error) {
    // Another process may have finished the same file first.
    if (await store.size(key) === null) throw error;
  }
}

/** Adds the first `end` bytes of an entry to `hash`. */
export async function hashEntry(
  hash: Sha256,
  { store, key, end }: { store: Store; key: string; end: number },
): Promise<void> {
  for (let at = 0; at < end; at += FLUSH_BYTES) {
    hash.update(await store.read(key, { start: at, end: Math.min(end, at + FLUSH_BYTES) }));
  }
}

/** An entry as text, or null when it is missing. */
export async function readEntry(store: Store, key: string): Promise<string | null> {
  const size = await store.size(key);
  return size === null
    ? null
    : new TextDecoder().decode(await store.read(key, { start: 0, end: size }));
}

/** Replaces an entry by `text`, all at once. */
export async function writeEntry(store: Store, key: string, text: string): Promise<void> {
  const partialKey = `${key}.incomplete`;
  await store.remove(partialKey);
  await store.write(partialKey, new TextEncoder().encode(text), 0);
  await store.rename(partialKey, key);
}

function joinChunks(chunks: readonly Uint8Array[], numBytes: number): Uint8Array {
  const joined = new Uint8Array(numBytes);
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined;
}
