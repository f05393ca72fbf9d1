/** What every Store does. Call from a test file with a way to make an empty one. */
import { describe, expect, test } from "vitest";
import type { Store } from "../../src/platform/platform.ts";

export function storeContract(name: string, makeStore: () => Promise<Store>): void {
  describe(`${name} as a Store`, () => {
    test("a written entry is read back by range", async () => {
      const store = await makeStore();
      await store.write("a/b.bin", Uint8Array.of(1, 2, 3, 4), 0);
      expect(await store.size("a/b.bin")).toBe(4);
      expect(await store.read("a/b.bin", { start: 1, end: 3 })).toEqual(Uint8Array.of(2, 3));
      expect(await store.read("a/b.bin", { start: 4, end: 4 })).toEqual(new Uint8Array(0));
    });

    test("write() at an offset keeps what lies around it and grows the entry", async () => {
      const store = await makeStore();
      await store.write("x", Uint8Array.of(1, 2, 3), 0);
      await store.write("x", Uint8Array.of(9), 1);
      await store.write("x", Uint8Array.of(7, 8), 3);
      expect(await readAll(store, "x")).toEqual([1, 9, 3, 7, 8]);
    });

    test("a gap before an offset reads as zeros", async () => {
      const store = await makeStore();
      await store.write("x", Uint8Array.of(5), 3);
      expect(await readAll(store, "x")).toEqual([0, 0, 0, 5]);
    });

    test("a missing entry has no size", async () => {
      const store = await makeStore();
      await store.write("a/b", Uint8Array.of(1), 0);
      expect(await store.size("a/c")).toBeNull();
      expect(await store.size("a/b/c")).toBeNull();
      expect(await store.size("a")).toBeNull();
      await expect(store.read("a/c", { start: 0, end: 1 })).rejects.toThrow();
    });

    test("read() beyond the end is a RangeError, however far", async () => {
      const store = await makeStore();
      await store.write("x", Uint8Array.of(1, 2), 0);
      for (const [start, end] of [[0, 3], [0, 2 ** 50], [2, 1], [-1, 1]] as const) {
        await expect(store.read("x", { start, end })).rejects.toThrow(RangeError);
      }
    });

    test("what was read is the reader's own", async () => {
      const store = await makeStore();
      await store.write("x", Uint8Array.of(1, 2), 0);
      (await store.read("x", { start: 0, end: 2 })).fill(9);
      expect(await readAll(store, "x")).toEqual([1, 2]);
    });

    test("rename() replaces the target and makes its folders", async () => {
      const store = await makeStore();
      await store.write("old", Uint8Array.of(1), 0);
      await store.write("deep/er/new", Uint8Array.of(2, 2), 0);
      await store.rename("old", "deep/er/new");
      expect(await readAll(store, "deep/er/new")).toEqual([1]);
      expect(await store.size("old")).toBeNull();
      await expect(store.rename("old", "other")).rejects.toThrow();
    });

    test("remove() forgets an entry, and does not mind a missing one", async () => {
      const store = await makeStore();
      await store.write("x", Uint8Array.of(1), 0);
      await store.remove("x");
      await store.remove("x");
      expect(await store.size("x")).toBeNull();
    });

    test("list() has the keys that start with a prefix, sorted", async () => {
      const store = await makeStore();
      for (const key of ["b/2", "b/10", "a", "b/sub/1", "bc"]) {
        await store.write(key, Uint8Array.of(1), 0);
      }
      expect(await store.list("")).toEqual(["a", "b/10", "b/2", "b/sub/1", "bc"]);
      expect(await store.list("b/")).toEqual(["b/10", "b/2", "b/sub/1"]);
      expect(await store.list("b")).toEqual(["b/10", "b/2", "b/sub/1", "bc"]);
      expect(await store.list("none/")).toEqual([]);
    });

    test.each(["../x", "a/../../x", "/x", "a//b", "", ".", "a\\b", "C:/x", "a/\0"])(
      "the key %j is refused",
      async (key) => {
        const store = await makeStore();
        await expect(store.write(key, Uint8Array.of(1), 0)).rejects.toThrow(RangeError);
        await expect(store.size(key)).rejects.toThrow(RangeError);
        await expect(store.read(key, { start: 0, end: 0 })).rejects.toThrow(RangeError);
        await expect(store.remove(key)).rejects.toThrow(RangeError);
      },
    );
  });
}

async function readAll(store: Store, key: string): Promise<number[]> {
  return [...await store.read(key, { start: 0, end: await store.size(key) ?? 0 })];
}
