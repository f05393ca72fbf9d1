import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildPage } from "../../web/build.ts";

describe("buildPage()", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "tessera-page-"));
    expect(await buildPage(folder)).toEqual({ folder, wasFresh: false });
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("makes one page whose files carry a hash of their content in their names", async () => {
    expect((await readdir(folder)).sort()).toEqual(["assets", "index.html", "sources.sha256"]);
    const assets = await readdir(join(folder, "assets"));
    const kinds = assets.map((name) => name.replace(/-[\w-]{8}\./, "."));
    expect(kinds.sort()).toEqual(["index.css", "index.js", "worker.js"]);
    const html = await readFile(join(folder, "index.html"), "utf8");
    for (const name of assets.filter((name) => !name.startsWith("worker"))) {
      expect(html, "relative, to work below any path").toContain(`"./assets/${name}"`);
    }
    const [script] = assets.filter((name) => /^index.*js$/.test(name));
    const worker = assets.find((name) => name.startsWith("worker"))!;
    expect(await readFile(join(folder, "assets", script!), "utf8")).toContain(worker);
  });

  test("loads nothing from elsewhere", async () => {
    const html = await readFile(join(folder, "index.html"), "utf8");
    const [css] = (await readdir(join(folder, "assets"))).filter((name) => name.endsWith("css"));
    const style = await readFile(join(folder, "assets", css!), "utf8");
    const icon = /data:image[^"]*/;
    for (const text of [html.replace(icon, ""), style]) {
      expect(text).not.toMatch(/\/\/|@import|url\(/);
    }
    expect(html).toContain("default-src 'none'; script-src 'self'");
  });

  test("does nothing when the sources are the same, and builds again when they are not", async () => {
    expect((await buildPage(folder)).wasFresh).toBe(true);
    await writeFile(join(folder, "sources.sha256"), "of other sources");
    await writeFile(join(folder, "assets/index-00000000.js"), "old");
    expect((await buildPage(folder)).wasFresh).toBe(false);
    expect((await readdir(join(folder, "assets"))).length).toBe(3);
  });
});
