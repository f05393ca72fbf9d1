/**
 * Bytes that are already in memory.
 *
 * @module
 */
import type { ByteSource } from "../formats/byte_source.ts";

/** A ByteSource over `bytes`, which must not change. */
export class MemorySource implements ByteSource {
  readonly name: string;
  readonly #bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.#bytes = bytes;
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
