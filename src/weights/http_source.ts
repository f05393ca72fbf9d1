/**
 * A URL as a ByteSource: each read fetches only its range.
 *
 * @module
 */
import type { ByteSource } from "../formats/byte_source.ts";
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

/** Opens `url`. Throws a FetchError when it cannot be read by range and is too big to keep. */
export async function openHttpSource(url: string, options: HttpOptions): Promise<ByteSource> {
  const name = withoutQuery(url);
  let head: HttpHead | null = null;
  const prefix = await collect(url, {
    start: 0,
    end: PREFIX_BYTES,
    onHead: (answer) => head = answer,
  }, options);
  const { totalBytes, isPartial } = head!;
  if (totalBytes === null && !isPartial && prefix.length < PREFIX_BYTES) {
    return new MemorySource(name, prefix);
  }
  if (totalBytes === null) {
    throw new FetchError(`"${name}" does not tell its size: download it and pass its path`, {
      status: 200,
    });
  }
  if (prefix.length === totalBytes) return new MemorySource(name, prefix);
  if (!isPartial) {
    if (totalBytes > MAX_WHOLE_BYTES) {
      throw new FetchError(`"${name}" is not served by range: download it and pass its path`, {
        status: 200,
      });
    }
    return new MemorySource(name, await collect(url, { start: 0, end: totalBytes }, options));
  }
  const { etag } = head!;
  return {
    name,
    size: totalBytes,
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
