import { expect, test } from "vitest";
import { OpfsStore, StoreFullError } from "../../src/platform/opfs_store.ts";

/** A folder whose every file is empty and takes `numFree` bytes. */
function fullFolder(numFree: number, refuse: () => number): FileSystemDirectoryHandle {
  let size = 0;
  const handle = {
    getSize: () => size,
    truncate: (to: number) => size = to,
    write: (bytes: Uint8Array) => {
      if (size + bytes.length > numFree) return refuse();
      size += bytes.length;
      return bytes.length;
    },
    close: () => {},
  };
  const file = { createSyncAccessHandle: () => Promise.resolve(handle) };
  return {
    getFileHandle: () => Promise.resolve(file),
  } as unknown as FileSystemDirectoryHandle;
}

test.each([
  ["throws", () => {
    throw new DOMException("no room", "QuotaExceededError");
  }],
  ["writes nothing", () => 0],
])("a browser without room that %s is a StoreFullError with the fix", async (_, refuse) => {
  const store = new OpfsStore(fullFolder(4, refuse));
  await store.write("x", Uint8Array.of(1, 2, 3), 0);
  const failed = store.write("x", Uint8Array.of(4, 5), 3);
  await expect(failed).rejects.toThrow(StoreFullError);
  await expect(failed).rejects.toThrow('no room left for "x": free disk space');
  // The next call is not held up.
  expect(await store.size("x")).toBe(3);
});
