/**
 * Byte ranges over HTTP that survive dropped connections: what arrived is kept and the rest is
 * asked for again.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";
import { within } from "./deadline.ts";

/** How to talk to a server. */
export interface HttpOptions {
  readonly fetch: typeof globalThis.fetch;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
  /** Attempts in a row that bring no byte before giving up; 5 when absent. */
  readonly maxAttempts?: number;
  /** Longest wait for an answer or the next bytes; 30 s when absent. */
  readonly stallMs?: number;
}

/** What a server said about a file. */
export interface HttpHead {
  /** Bytes of the whole file, null when the server does not tell. */
  readonly totalBytes: number | null;
  /** The server served the range; otherwise it sends the whole file each time. */
  readonly isPartial: boolean;
  /** Strong validator, null when there is none. */
  readonly etag: string | null;
  readonly headers: Headers;
}

/** A server that refuses, or cannot be reached: `status` is null then. */
export class FetchError extends Error {
  override readonly name = "FetchError";
  readonly status: number | null;
  /** Headers of the refusal. */
  readonly headers: Headers | null;

  constructor(
    message: string,
    { status = null, headers = null, cause }: {
      status?: number | null;
      headers?: Headers | null;
      cause?: unknown;
    } = {},
  ) {
    super(message, { cause });
    this.status = status;
    this.headers = headers;
  }
}

const TRANSIENT_STATUSES: readonly number[] = [408, 425, 429, 500, 502, 503, 504];
const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 30_000;

/**
 * Yields the bytes [start, end) of `url` in order, or to its end when `end` is null or lies beyond.
 * `onHead` sees every answer before its bytes. Throws a FetchError, or the signal's reason.
 */
export async function* readHttpRange(
  url: string,
  { start, end, onHead }: {
    start: number;
    end: number | null;
    onHead?: (head: HttpHead) => void;
  },
  options: HttpOptions,
): AsyncGenerator<Uint8Array, void> {
  const { clock, signal, maxAttempts = 5 } = options;
  const shown = withoutQuery(url);
  let at = start;
  let numFailures = 0;
  let first: HttpHead | null = null;
  for (;;) {
    const attempt = new AbortController();
    try {
      const head = await ask(url, { start: at, end, attempt }, options);
      first ??= head;
      if (first.totalBytes !== head.totalBytes || first.etag !== head.etag) {
        throw new FetchError(`"${shown}" changed while it was read: try again`, { status: 412 });
      }
      onHead?.(head);
      const limit = Math.min(end ?? Infinity, head.totalBytes ?? Infinity);
      // A server that ignores the range starts over: drop what is not asked for.
      let numSkipped = head.isPartial ? at : 0;
      for await (const chunk of chunksOf(head.body, options)) {
        const from = Math.min(chunk.length, at - numSkipped);
        numSkipped += from;
        const wanted = chunk.subarray(from, from + Math.min(chunk.length, limit - at));
        if (wanted.length > 0) {
          numSkipped += wanted.length;
          at += wanted.length;
          numFailures = 0;
          yield wanted;
        }
        if (at >= limit) return;
      }
      if (at >= limit || limit === Infinity) return;
      throw new FetchError(`"${shown}" ended at byte ${at} of ${limit}`);
    } catch (error) {
      signal?.throwIfAborted();
      const failure = asFetchError(error, shown);
      const isFinal = failure.status !== null && !TRANSIENT_STATUSES.includes(failure.status);
      numFailures++;
      if (isFinal || numFailures >= maxAttempts) throw failure;
      await clock.sleep(backoffMs(numFailures, failure), signal);
    } finally {
      attempt.abort();
    }
  }
}

/** The URL as messages may show it: what follows `?` is often a signature. */
export function withoutQuery(url: string): string {
  return url.split(/[?#]/, 1)[0]!.replace(/\/\/[^/@]*@/, "//");
}

async function ask(
  url: string,
  { start, end, attempt }: { start: number; end: number | null; attempt: AbortController },
  { fetch, clock, signal, headers, stallMs = 30_000 }: HttpOptions,
): Promise<HttpHead & { readonly body: ReadableStream<Uint8Array> | null }> {
  const shown = withoutQuery(url);
  const response = await within(
    fetch(url, {
      headers: {
        ...headers,
        // Ranges of a compressed body would be ranges of something else.
        "accept-encoding": "identity",
        range: `bytes=${start}-${end === null ? "" : end - 1}`,
      },
      signal: signal ? AbortSignal.any([signal, attempt.signal]) : attempt.signal,
    }),
    { clock, ms: stallMs, expired: () => new FetchError(`"${shown}" did not answer`) },
  );
  const etag = response.headers.get("etag");
  const common = {
    etag: etag === null || etag.startsWith("W/") ? null : etag,
    headers: response.headers,
    body: response.body,
  };
  if (response.status === 200) {
    return { ...common, totalBytes: contentLength(response.headers), isPartial: false };
  }
  const served = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/
    .exec(response.headers.get("content-range") ?? "");
  const totalBytes = served?.[3] && served[3] !== "*" ? Number(served[3]) : null;
  if (response.status === 416 && totalBytes !== null && start >= totalBytes) {
    return { ...common, body: null, totalBytes, isPartial: true };
  }
  if (response.status !== 206) {
    throw new FetchError(`"${shown}" answered ${response.status} ${response.statusText}`.trim(), {
      status: response.status,
      headers: response.headers,
    });
  }
  if (Number(served?.[1] ?? NaN) !== start) {
    throw new FetchError(
      `"${shown}" answered "${response.headers.get("content-range")}" to a request for byte ` +
        `${start}: download the file by other means and pass its path`,
      { status: 206 },
    );
  }
  return { ...common, totalBytes, isPartial: true };
}

async function* chunksOf(
  body: ReadableStream<Uint8Array> | null,
  { clock, stallMs = 30_000 }: HttpOptions,
): AsyncGenerator<Uint8Array, void> {
  if (!body) return;
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await within(reader.read(), {
        clock,
        ms: stallMs,
        expired: () => new FetchError(`No byte arrived for ${stallMs / 1000} s`),
      });
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function contentLength(headers: Headers): number | null {
  const length = headers.get("content-length");
  return length === null || headers.has("content-encoding") ? null : Number(length);
}

function asFetchError(error: unknown, shown: string): FetchError {
  if (error instanceof FetchError) return error;
  return new FetchError(`Cannot reach "${shown}": ${reasonOf(error)}`, { cause: error });
}

/** What went wrong, as deep as the runtime tells it, without the query of any URL. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Runtimes say "fetch failed" and hide the reason.
  const { message } = error.cause instanceof Error ? error.cause : error;
  return message.replace(/^.* for url \([^)]*\): /, "").replace(/\?\S*/g, "") || error.name;
}

function backoffMs(numFailures: number, { headers }: FetchError): number {
  const retryAfterMs = Number(headers?.get("retry-after") ?? NaN) * 1000;
  const backoff = FIRST_BACKOFF_MS * 2 ** (numFailures - 1);
  return Math.min(MAX_BACKOFF_MS, retryAfterMs >= 0 ? retryAfterMs : backoff);
}
