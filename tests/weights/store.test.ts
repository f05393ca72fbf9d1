import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { FileStore } from "../../src/platform/file_store.ts";
import { MemoryStore } from "../../src/weights/memory_store.ts";
import { storeContract } from "../contracts/store.ts";

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tessera-store-"));
  folders.push(folder);
  return folder;
}

storeContract("MemoryStore", () => Promise.resolve(new MemoryStore()));
storeContract("FileStore", async () => new FileStore(join(await makeFolder(), "not", "yet")));

test("FileStore reads and lists links to files, and does not follow links to folders", async () => {
  const root = await makeFolder();
  const store = new FileStore(root);
  await store.write("blobs/abc", Uint8Array.of(7), 0);
  await mkdir(join(root, "snapshots"));
  await symlink("../blobs/abc", join(root, "snapshots", "model"));
  await symlink("..", join(root, "snapshots", "loop"));
  expect(await store.list("snapshots/")).toEqual(["snapshots/model"]);
  expect(await store.read("snapshots/model", { start: 0, end: 1 })).toEqual(Uint8Array.of(7));
});
