/**
 * The browser's private file system as a Store, for Workers: pages have no synchronous handles.
 *
 * @module
 */
import type { Store } from "./platform.ts";
import { checkStoreKey } from "./store_key.ts";

/** The browser gives this page no more room. */
export class StoreFullError extends Error {
  override readonly name = "StoreFullError";

  constructor(key: string, cause: unknown) {
    super(
      `The browser has no room left for "${key}": free disk space, remove this site's data in the ` +
        "browser's settings, or lend less memory",
      { cause },
    );
  }
}

/** Handles kept open. Opening one takes longer than reading a chunk. */
const MAX_OPEN = 16;

/** What browsers have beyond the standard's types. */
interface OpfsFile extends FileSystemFileHandle {
  /** "readwrite-unsafe" lets other tabs use the file too, where the browser knows the mode. */
  createSyncAccessHandle(options?: { mode: "readwrite-unsafe" }): Promise<SyncAccessHandle>;
  move?(folder: FileSystemDirectoryHandle, name: string): Promise<void>;
}

interface SyncAccessHandle {
  read(buffer: Uint8Array, options: { at: number }): number;
  write(buffer: Uint8Array, options: { at: number }): number;
  getSize(): number;
  truncate(size: number): void;
  close(): void;
}

/** Entries are files below a folder. Calls take effect one after another. */
export class OpfsStore implements Store {
  readonly #root: FileSystemDirectoryHandle;
  /** By key, the longest unused first. */
  readonly #open = new Map<string, SyncAccessHandle>();
  #lastCall: Promise<unknown> = Promise.resolve();

  /** Of a folder that nothing else changes, but for stores of other tabs. */
  constructor(root: FileSystemDirectoryHandle) {
    this.#root = root;
  }

  /** The store of this origin with the name `name`. Rejects where the page is not secure. */
  static async open(name: string): Promise<OpfsStore> {
    const origin = await navigator.storage.getDirectory();
    return new OpfsStore(await origin.getDirectoryHandle(name, { create: true }));
  }

  size(key: string): Promise<number | null> {
    return this.#inTurn(key, async () => {
      const open = this.#open.get(key);
      if (open !== undefined) return open.getSize();
      const file = await this.#find(key);
      return file === null ? null : (await file.getFile()).size;
    });
  }

  read(key: string, { start, end }: { start: number; end: number }): Promise<Uint8Array> {
    return this.#inTurn(key, async () => {
      const handle = await this.#handle(key, { create: false });
      const size = handle.getSize();
      // Before the allocation: `end` may come from a damaged file.
      if (start < 0 || end < start || end > size) {
        throw new RangeError(`Bytes [${start}, ${end}) are outside "${key}" of ${size} bytes`);
      }
      const bytes = new Uint8Array(end - start);
      for (let at = 0; at < bytes.length;) {
        const numRead = handle.read(bytes.subarray(at), { at: start + at });
        if (numRead === 0) throw new RangeError(`"${key}" became shorter while it was read`);
        at += numRead;
      }
      return bytes;
    });
  }

  write(key: string, bytes: Uint8Array, offset: number): Promise<void> {
    return this.#inTurn(key, async () => {
      try {
        const handle = await this.#handle(key, { create: true });
        if (handle.getSize() < offset) handle.truncate(offset);
        for (let at = 0; at < bytes.length;) {
          const numWritten = handle.write(bytes.subarray(at), { at: offset + at });
          if (numWritten === 0) throw new DOMException("", "QuotaExceededError");
          at += numWritten;
        }
      } catch (error) {
        throw isNamed(error, "QuotaExceededError") ? new StoreFullError(key, error) : error;
      }
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#inTurn(from, async () => {
      const file = await this.#find(from);
      if (file === null) throw new Error(`There is no entry "${from}"`);
      this.#close(from);
      this.#close(to);
      const { folder, name } = await this.#place(to, { create: true });
      if (file.move !== undefined) {
        await file.move(folder, name);
      } else {
        await copy(file, await folder.getFileHandle(name, { create: true }) as OpfsFile);
        await this.#remove(from);
      }
    }, to);
  }

  remove(key: string): Promise<void> {
    return this.#inTurn(key, () => this.#remove(key));
  }

  async list(prefix: string): Promise<readonly string[]> {
    const parent = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    if (parent !== "") checkStoreKey(parent.slice(0, -1));
    const keys: string[] = [];
    let folder: FileSystemDirectoryHandle | null = this.#root;
    for (const name of parent.split("/").slice(0, -1)) {
      folder = await orNull(folder.getDirectoryHandle(name));
      if (folder === null) return [];
    }
    await walk(folder, { prefix: parent, keys });
    return keys.filter((key) => key.startsWith(prefix)).sort();
  }

  /** Closes all handles, so that other tabs get at every file; the store can still be used. */
  release(): Promise<void> {
    return this.#inTurn("all", () => {
      for (const key of [...this.#open.keys()]) this.#close(key);
      return Promise.resolve();
    });
  }

  #inTurn<T>(key: string, action: () => Promise<T>, otherKey = key): Promise<T> {
    const call = this.#lastCall.then(() => {
      checkStoreKey(key);
      checkStoreKey(otherKey);
      return action();
    });
    this.#lastCall = call.catch(() => {});
    return call;
  }

  async #handle(key: string, { create }: { create: boolean }): Promise<SyncAccessHandle> {
    let handle = this.#open.get(key);
    if (handle === undefined) {
      const { folder, name } = await this.#place(key, { create });
      const file = await folder.getFileHandle(name, { create }) as OpfsFile;
      handle = await file.createSyncAccessHandle({ mode: "readwrite-unsafe" });
    }
    this.#open.delete(key);
    this.#open.set(key, handle);
    const [oldest] = this.#open.keys();
    if (this.#open.size > MAX_OPEN && oldest !== undefined) this.#close(oldest);
    return handle;
  }

  #close(key: string): void {
    this.#open.get(key)?.close();
    this.#open.delete(key);
  }

  async #remove(key: string): Promise<void> {
    this.#close(key);
    if (await this.#find(key) === null) return;
    const { folder, name } = await this.#place(key, { create: false });
    await folder.removeEntry(name);
  }

  /** Null when there is no such file, or a folder in its place. */
  async #find(key: string): Promise<OpfsFile | null> {
    const place = await orNull(this.#place(key, { create: false }));
    return place && await orNull(place.folder.getFileHandle(place.name)) as OpfsFile | null;
  }

  async #place(
    key: string,
    { create }: { create: boolean },
  ): Promise<{ folder: FileSystemDirectoryHandle; name: string }> {
    const parts = key.split("/");
    const name = parts.pop()!;
    let folder = this.#root;
    for (const part of parts) folder = await folder.getDirectoryHandle(part, { create });
    return { folder, name };
  }
}

async function walk(
  folder: FileSystemDirectoryHandle,
  { prefix, keys }: { prefix: string; keys: string[] },
): Promise<void> {
  const entries = (folder as unknown as {
    entries(): AsyncIterable<[string, FileSystemDirectoryHandle | FileSystemFileHandle]>;
  }).entries();
  for await (const [name, entry] of entries) {
    const key = prefix + name;
    if (entry.kind === "file") keys.push(key);
    else await walk(entry as FileSystemDirectoryHandle, { prefix: `${key}/`, keys });
  }
}

async function copy(from: OpfsFile, to: OpfsFile): Promise<void> {
  const target = await to.createSyncAccessHandle();
  try {
    target.truncate(0);
    let at = 0;
    const reader = (await from.getFile()).stream().getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (let done = 0; done < value.length;) {
        done += target.write(value.subarray(done), { at: at + done });
      }
      at += value.length;
    }
  } finally {
    target.close();
  }
}

async function orNull<T>(wait: Promise<T>): Promise<T | null> {
  try {
    return await wait;
  } catch (error) {
    if (isNamed(error, "NotFoundError") || isNamed(error, "TypeMismatchError")) return null;
    throw error;
  }
}

/** Whether a DOMException, in the old or the new way, has the name. */
function isNamed(error: unknown, name: string): boolean {
  return (error as { name?: unknown } | null)?.name === name;
}
