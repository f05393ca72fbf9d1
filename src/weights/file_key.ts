/**
 * The name of a file's content in caches.
 *
 * @module
 */
import type { ByteSource } from "../formats/byte_source.ts";
import { Sha256 } from "./sha256.ts";

/** From a file whose content nothing names: its start, its end, and windows between them. */
const HEAD_BYTES = 1024 * 1024;
const TAIL_BYTES = 64 * 1024;
const NUM_WINDOWS = 64;
const WINDOW_BYTES = 4096;

/**
 * 64 hexadecimal digits: SHA-256 over the size and what the file's origin says of its version. A
 * file without one is sampled, 1.3 MiB of it: enough to tell a model from its fine-tunes, which
 * share header, size and often their first and last tensors; not enough against forgery.
 */
export async function fileKey(source: ByteSource): Promise<string> {
  const hash = new Sha256();
  const version = source.origin?.version ?? null;
  hash.update(new TextEncoder().encode(`tessera file ${source.size} ${version ?? "sampled"}\n`));
  if (version === null) {
    for (const { start, end } of samples(source.size)) hash.update(await source.read(start, end));
  }
  return hash.digest();
}

function* samples(size: number): Generator<{ readonly start: number; readonly end: number }> {
  const head = Math.min(size, HEAD_BYTES);
  const tail = Math.max(head, size - TAIL_BYTES);
  yield { start: 0, end: head };
  for (let i = 0; i < NUM_WINDOWS; i++) {
    const start = Math.floor(head + (tail - head) * i / NUM_WINDOWS);
    yield { start, end: Math.min(tail, start + WINDOW_BYTES) };
  }
  yield { start: tail, end: size };
}
