import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { folderAssets } from "../../src/cli/page_assets.ts";

let folder: string;
beforeEach(async () => {
  folder = await Deno.makeTempDir();
  await Deno.mkdir(join(folder, "assets"));
});
afterEach(() => Deno.remove(folder, { recursive: true }));

test("files come with their bytes and type", async () => {
  const types = {
    "index.html": "text/html; charset=utf-8",
    "assets/index-1234abcd.js": "text/javascript; charset=utf-8",
    "assets/icon.svg": "image/svg+xml",
    "app.webmanifest": "application/manifest+json",
    "blob": "application/octet-stream",
    "a.constructor": "application/octet-stream",
  };
  const read = folderAssets(folder);
  for (const [path, contentType] of Object.entries(types)) {
    const bytes = new TextEncoder().encode(path);
    await Deno.writeFile(join(folder, path), bytes);
    expect(await read(path)).toEqual({ bytes, contentType });
  }
});

test("a path that names no file is no file, whatever it names", async () => {
  await Deno.writeTextFile(join(folder, "index.html"), "page");
  const read = folderAssets(folder);
  for (const path of ["gone.html", "assets", "index.html/more", "assets/gone/deeper"]) {
    expect(await read(path), path).toBe(null);
  }
});
