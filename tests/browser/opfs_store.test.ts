import { afterAll, beforeAll, expect, test } from "vitest";
import { storeContract } from "../contracts/store.ts";
import { bundle } from "../platform/bundle.ts";
import { reportOfPage } from "./chromium.ts";
import { RemoteStore, StoreCalls } from "./remote_store.ts";

const calls = new StoreCalls();
let page: Promise<unknown>;
let numStores = 0;

beforeAll(async () => {
  const worker = await bundle(new URL("./opfs_store_entry.ts", import.meta.url));
  const code = `
    const blob = new Blob([${JSON.stringify(worker)}], { type: "text/javascript" });
    const worker = new Worker(URL.createObjectURL(blob), { type: "module" });
    worker.postMessage({ pageUrl: location.origin, callsUrl: ${JSON.stringify(calls.url)} });
  `;
  page = reportOfPage({ code, deadlineMs: 60_000 });
  // Whoever waits for an answer must learn of a page that never came up.
  page.catch(() => {});
  await Promise.race([page, makeStore().list("")]);
});
afterAll(async () => {
  calls.end();
  await page;
  await calls.close();
});

function makeStore(): RemoteStore {
  return new RemoteStore(calls, `store-${numStores++}`);
}

storeContract("OpfsStore in Chromium", () => Promise.resolve(makeStore()));

test("more entries than handles stay open are all kept", async () => {
  const store = makeStore();
  const keys = Array.from({ length: 40 }, (_, i) => `folder/${i}`);
  for (const [i, key] of keys.entries()) await store.write(key, Uint8Array.of(i, i + 1), 0);
  for (const [i, key] of keys.entries()) {
    expect(await store.read(key, { start: 0, end: 2 })).toEqual(Uint8Array.of(i, i + 1));
  }
});

test("entries outlive their handles", async () => {
  const store = makeStore();
  await store.write("x", Uint8Array.of(1, 2, 3), 0);
  await store.release();
  expect(await store.size("x")).toBe(3);
  expect(await store.read("x", { start: 1, end: 3 })).toEqual(Uint8Array.of(2, 3));
});

test("a renamed entry is written and read under its new name only", async () => {
  const store = makeStore();
  await store.write("old", Uint8Array.of(1), 0);
  await store.write("new", Uint8Array.of(9, 9), 0);
  await store.rename("old", "new");
  await store.write("new", Uint8Array.of(2), 1);
  expect(await store.read("new", { start: 0, end: 2 })).toEqual(Uint8Array.of(1, 2));
  expect(await store.list("")).toEqual(["new"]);
});

test("two stores of one folder, as two tabs have them, use the same entry", async () => {
  const [first, second] = [new RemoteStore(calls, "both#1"), new RemoteStore(calls, "both#2")];
  await first.write("x", Uint8Array.of(1, 2), 0);
  await second.write("x", Uint8Array.of(3), 1);
  expect(await first.read("x", { start: 0, end: 2 })).toEqual(Uint8Array.of(1, 3));
});

test("where files cannot be moved, a rename copies", async () => {
  const store = makeStore();
  await store.forgetMove();
  const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251);
  await store.write("old", bytes, 0);
  await store.write("deep/new", new Uint8Array(300_000), 0);
  await store.rename("old", "deep/new");
  expect(await store.list("")).toEqual(["deep/new"]);
  expect(await store.size("deep/new")).toBe(bytes.length);
  expect(await store.read("deep/new", { start: 0, end: bytes.length })).toEqual(bytes);
});
