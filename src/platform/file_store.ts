/**
 * A folder as a Store, for runtimes that have Node's file system.
 *
 * @module
 */
import { constants } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Store } from "./platform.ts";
import { checkStoreKey } from "./store_key.ts";

/** Entries are the files below `root`; symbolic links to files count as files. */
export class FileStore implements Store {
  readonly #root: string;

  /** `root` need not exist: the first write makes it. */
  constructor(root: string) {
    this.#root = root;
  }

  async size(key: string): Promise<number | null> {
    try {
      const entry = await stat(this.#pathOf(key));
      return entry.isFile() ? entry.size : null;
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  async read(key: string, { start, end }: { start: number; end: number }): Promise<Uint8Array> {
    const file = await open(this.#pathOf(key), "r");
    try {
      const { size } = await file.stat();
      // Before the allocation: `end` may come from a damaged file.
      if (start < 0 || end < start || end > size) {
        throw new RangeError(`Bytes [${start}, ${end}) are outside "${key}" of ${size} bytes`);
      }
      const bytes = new Uint8Array(end - start);
      for (let at = 0; at < bytes.length;) {
        // One call reads at most 2 GiB.
        const length = Math.min(bytes.length - at, 1 << 30);
        const { bytesRead } = await file.read(bytes, at, length, start + at);
        if (bytesRead === 0) throw new RangeError(`"${key}" became shorter while it was read`);
        at += bytesRead;
      }
      return bytes;
    } finally {
      await file.close();
    }
  }

  async write(key: string, bytes: Uint8Array, offset: number): Promise<void> {
    const path = this.#pathOf(key);
    await mkdir(dirname(path), { recursive: true });
    const file = await open(path, constants.O_WRONLY | constants.O_CREAT);
    try {
      for (let at = 0; at < bytes.length;) {
        const { bytesWritten } = await file.write(bytes, at, bytes.length - at, offset + at);
        at += bytesWritten;
      }
    } finally {
      await file.close();
    }
  }

  async rename(from: string, to: string): Promise<void> {
    const target = this.#pathOf(to);
    await mkdir(dirname(target), { recursive: true });
    await rename(this.#pathOf(from), target);
  }

  async remove(key: string): Promise<void> {
    await rm(this.#pathOf(key), { force: true });
  }

  async list(prefix: string): Promise<readonly string[]> {
    const keys: string[] = [];
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    if (folder !== "") checkStoreKey(folder.slice(0, -1));
    await this.#walk(folder, keys);
    return keys.filter((key) => key.startsWith(prefix)).sort();
  }

  async #walk(folder: string, keys: string[]): Promise<void> {
    const entries = await readdir(join(this.#root, folder), { withFileTypes: true })
      .catch((error: unknown) => {
        if (isMissing(error)) return [];
        throw error;
      });
    for (const entry of entries) {
      const key = folder + entry.name;
      if (entry.isDirectory()) {
        await this.#walk(`${key}/`, keys);
      } else if (entry.isFile()) {
        keys.push(key);
      } else if (entry.isSymbolicLink() && await this.size(key) !== null) {
        // A link to a folder is not followed: it may lead back here.
        keys.push(key);
      }
    }
  }

  #pathOf(key: string): string {
    checkStoreKey(key);
    return join(this.#root, key);
  }
}

function isMissing(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === "ENOENT" || code === "ENOTDIR";
}
