import { within } from "./deadline.ts";
import { FetchError, type HttpHead, type HttpOptions, readHttpRange } from "./http_range.ts";
import type { ManifestFile } from "./shard_manifest.ts";

/** Bytes [start, end) of a file, by its key. */
export type ReadFileRange = (
  fileKey: string,
  range: { readonly start: number; readonly end: number },
) => Promise<Uint8Array>;

/** Part of a shard cannot be had from any source. */
export class ShardReadError extends Error {
  override readonly name = "ShardReadError";
}

/** Attempts at a URL, which has the coordinator behind it. */
const URL_ATTEMPTS = 2;
/** A URL that failed for a reason that may pass is left alone this long. */
const URL_REST_MS = 60_000;
const COORDINATOR_ATTEMPTS = 4;
const COORDINATOR_DEADLINE_MS = 60_000;
const FIRST_BACKOFF_MS = 500;
/** Refusals that may pass. */
const PASSING_STATUSES: readonly number[] = [408, 425, 429, 500, 502, 503, 504];

/** Ranges of a manifest's files over the network: from their URLs, else from the coordinator. */
export class FileRanges {
  readonly #http: HttpOptions;
  readonly #readFromCoordinator: ReadFileRange;
  /** When a URL may be tried again, by URL. */
  readonly #restingUntilMs = new Map<string, number>();
  #downloadedBytes = 0;

  /** The signal of `http` ends all reads. */
  constructor(
    { http, readFromCoordinator }: {
      readonly http: HttpOptions;
      readonly readFromCoordinator: ReadFileRange;
    },
  ) {
    this.#http = http;
    this.#readFromCoordinator = readFromCoordinator;
  }

  /** Bytes that arrived so far. */
  get downloadedBytes(): number {
    return this.#downloadedBytes;
  }

  /** Exactly the bytes [start, end). Throws a ShardReadError, or the signal's reason. */
  async read(
    file: ManifestFile,
    range: { readonly start: number; readonly end: number },
  ): Promise<Uint8Array> {
    const { clock, signal } = this.#http;
    const problems: string[] = [];
    for (const url of file.urls) {
      if (clock.now() < (this.#restingUntilMs.get(url) ?? -Infinity)) continue;
      try {
        return await this.#fromUrl(url, { file, range });
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof FetchError)) throw error;
        const mayPass = error.status === null || PASSING_STATUSES.includes(error.status);
        this.#restingUntilMs.set(url, mayPass ? clock.now() + URL_REST_MS : Infinity);
        problems.push(error.message);
      }
    }
    for (let attempt = 1; attempt <= COORDINATOR_ATTEMPTS; attempt++) {
      try {
        return await this.#fromCoordinator(file, range);
      } catch (error) {
        signal?.throwIfAborted();
        problems.push(`the coordinator: ${(error as Error).message}`);
        if (attempt < COORDINATOR_ATTEMPTS) {
          await clock.sleep(FIRST_BACKOFF_MS * 2 ** (attempt - 1), signal);
        }
      }
    }
    throw new ShardReadError(
      `Bytes [${range.start}, ${range.end}) of file "${file.key.slice(0, 12)}" cannot be had ` +
        `(${[...new Set(problems)].join("; ")}): check the connection and join again`,
    );
  }

  async #fromUrl(
    url: string,
    { file, range: { start, end } }: {
      readonly file: ManifestFile;
      readonly range: { readonly start: number; readonly end: number };
    },
  ): Promise<Uint8Array> {
    const onHead = ({ totalBytes, isPartial }: HttpHead) => {
      const isWhole = start === 0 && end === file.sizeBytes;
      if (!isPartial && !isWhole) {
        throw new FetchError(`"${url}" is not served by range`, { status: 200 });
      }
      if (totalBytes !== null && totalBytes !== file.sizeBytes) {
        throw new FetchError(`"${url}" is another file than the coordinator's`, { status: 412 });
      }
    };
    const bytes = new Uint8Array(end - start);
    let at = 0;
    const http = { ...this.#http, maxAttempts: URL_ATTEMPTS };
    for await (const chunk of readHttpRange(url, { start, end, onHead }, http)) {
      bytes.set(chunk, at);
      at += chunk.length;
      this.#downloadedBytes += chunk.length;
    }
    if (at !== bytes.length) throw new FetchError(`"${url}" ended early`, { status: 412 });
    return bytes;
  }

  async #fromCoordinator(
    file: ManifestFile,
    range: { readonly start: number; readonly end: number },
  ): Promise<Uint8Array> {
    const { clock, signal } = this.#http;
    const reading = this.#readFromCoordinator(file.key, range);
    const bytes = await within(orAborted(reading, signal), {
      clock,
      ms: COORDINATOR_DEADLINE_MS,
      expired: () => new Error(`no answer in ${COORDINATOR_DEADLINE_MS / 1000} s`),
    });
    if (bytes.length !== range.end - range.start) {
      throw new Error(`${bytes.length} bytes came instead of ${range.end - range.start}`);
    }
    this.#downloadedBytes += bytes.length;
    return bytes;
  }
}

/** `wait`, unless the signal aborts first. */
async function orAborted<T>(wait: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await wait;
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([wait, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    wait.catch(() => {});
  }
}
