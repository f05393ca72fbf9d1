/**
 * Bytes that are already in memory.
 *
 * @module
 */
import type { ByteOrigin, ByteSource } from "../formats/byte_source.ts";

/** A ByteSource over `bytes`, which must not change. */
export class MemorySource implements ByteSource {
  readonly name: string;
  readonly origin?: ByteOrigin;
  readonly #bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array, { origin }: { origin?: ByteOrigin } = {}) {
    this.name = name;
    this.#bytes = bytes;
    if (origin) this.origin = origin;
  }

  get size(): number {
    return this.#bytes.length;
  }

  read(start: number, end: number): Promise<Uint8Array> {
    if (start < 0 || end < start || end > this.size) {
      const problem = `Bytes [${start}, ${end}) are outside "${this.name}" of ${this.size} bytes`;
      return Promise.reject(new RangeError(problem));
    }
    return Promise.resolve(this.#bytes.slice(start, end));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
