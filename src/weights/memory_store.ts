/**
 * A Store that lasts as long as the process: for tests and for runtimes without a disk.
 *
 * @module
 */
import type { Store } from "../platform/platform.ts";
import { checkStoreKey } from "../platform/store_key.ts";

interface Entry {
  /** May be longer than the entry, so that appending is cheap. */
  bytes: Uint8Array;
  size: number;
}

/** Entries in a map. */
export class MemoryStore implements Store {
  readonly #entries = new Map<string, Entry>();

  size(key: string): Promise<number | null> {
    return settle(() => this.#entry(key)?.size ?? null);
  }

  read(key: string, { start, end }: { start: number; end: number }): Promise<Uint8Array> {
    return settle(() => {
      const { bytes, size } = this.#existing(key);
      if (start < 0 || end < start || end > size) {
        throw new RangeError(`Bytes [${start}, ${end}) are outside "${key}" of ${size} bytes`);
      }
      return bytes.slice(start, end);
    });
  }

  write(key: string, bytes: Uint8Array, offset: number): Promise<void> {
    return settle(() => {
      const entry = this.#entry(key) ?? { bytes: new Uint8Array(0), size: 0 };
      const end = offset + bytes.length;
      if (end > entry.bytes.length) {
        const grown = new Uint8Array(Math.max(end, 2 * entry.bytes.length));
        grown.set(entry.bytes.subarray(0, entry.size));
        entry.bytes = grown;
      }
      entry.bytes.set(bytes, offset);
      entry.size = Math.max(entry.size, end);
      this.#entries.set(key, entry);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return settle(() => {
      checkStoreKey(to);
      const entry = this.#existing(from);
      this.#entries.delete(from);
      this.#entries.set(to, entry);
    });
  }

  remove(key: string): Promise<void> {
    return settle(() => {
      checkStoreKey(key);
      this.#entries.delete(key);
    });
  }

  list(prefix: string): Promise<readonly string[]> {
    return settle(() => [...this.#entries.keys()].filter((key) => key.startsWith(prefix)).sort());
  }

  #entry(key: string): Entry | undefined {
    checkStoreKey(key);
    return this.#entries.get(key);
  }

  #existing(key: string): Entry {
    const entry = this.#entry(key);
    if (!entry) throw new Error(`There is no entry "${key}"`);
    return entry;
  }
}

/** Runs `action` now; what it throws becomes a rejection. */
function settle<T>(action: () => T): Promise<T> {
  return new Promise((resolve) => resolve(action()));
}
