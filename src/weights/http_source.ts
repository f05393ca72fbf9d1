/**
 * A URL as a ByteSource: each read fetches only its range.
 *
 * @module
 */
import type { ByteOrigin, ByteSource } from "../formats/byte_source.ts";
import {
  FetchError,
  type HttpHead,
  type HttpOptions,
  readHttpRange,
  withoutQuery,
} from "./http_range.ts";
import { MemorySource } from "./memory_source.ts";

/** Fetched on opening: enough for most headers. */
const PREFIX_BYTES = 256 * 1024;
/** A file that cannot be had by range is kept in memory when it is no longer than this. */
const MAX_WHOLE_BYTES = 64 * 1024 * 1024;

/**
 * Opens `url`. Throws a FetchError when it cannot be read by range and is too big to keep. `origin`
 * stands where more is known than the URL tells.
 */
export async function openHttpSource(
  url: string,
  options: HttpOptions,
  { origin: knownOrigin }: { origin?: ByteOrigin } = {},
): Promise<ByteSource> {
  const name = withoutQuery(url);
  let head: HttpHead | null = null;
  const prefix = await collect(url, {
    start: 0,
    end: PREFIX_BYTES,
    onHead: (answer) => head = answer,
  }, options);
  const { totalBytes, isPartial, etag } = head!;
  const origin = knownOrigin ?? urlOrigin(url, { etag, headers: options.headers });
  if (totalBytes === null && !isPartial && prefix.length < PREFIX_BYTES) {
    return new MemorySource(name, prefix, { origin });
  }
  if (totalBytes === null) {
    throw new FetchError(`"${name}" does not tell its size: download it and pass its path`, {
      status: 200,
    });
  }
  if (prefix.length === totalBytes) return new MemorySource(name, prefix, { origin });
  if (!isPartial) {
    if (totalBytes > MAX_WHOLE_BYTES) {
      throw new FetchError(`"${name}" is not served by range: download it and pass its path`, {
        status: 200,
      });
    }
    const bytes = await collect(url, { start: 0, end: totalBytes }, options);
    return new MemorySource(name, bytes, { origin });
  }
  return {
    name,
    size: totalBytes,
    origin,
    read: async (start, end) => {
      if (start < 0 || end < start || end > totalBytes) {
        throw new RangeError(
          `Bytes [${start}, ${end}) are outside "${name}" of ${totalBytes} bytes`,
        );
      }
      if (end <= prefix.length) return prefix.slice(start, end);
      const onHead = (answer: HttpHead) => {
        if (answer.totalBytes === totalBytes && answer.etag === etag) return;
        throw new FetchError(`"${name}" changed while it was read: try again`, { status: 412 });
      };
      return await collect(url, { start, end, onHead }, options);
    },
    close: () => Promise.resolve(),
  };
}

/** What a URL says of its bytes. One with a query, a password or a header may be for its owner only. */
export function urlOrigin(
  url: string,
  { etag, headers = {} }: {
    etag: string | null;
    headers?: Readonly<Record<string, string>> | undefined;
  },
): ByteOrigin {
  const { origin, pathname, search, username, password } = new URL(url);
  const isPublic = search + username + password === "" && Object.keys(headers).length === 0;
  return {
    urls: isPublic ? [origin + pathname] : [],
    version: etag === null ? null : `${origin}${pathname} ${etag}`,
  };
}

/** The bytes [start, end), fewer when the file ends before. */
async function collect(
  url: string,
  range: { start: number; end: number; onHead?: (head: HttpHead) => void },
  options: HttpOptions,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(range.end - range.start);
  let at = 0;
  for await (const chunk of readHttpRange(url, range, options)) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes.subarray(0, at);
}
