import { expect, test } from "vitest";
import { FileStore } from "../../src/platform/file_store.ts";

test("every variable of a function has an initialiser: loops do not clear them under Dawn", async () => {
  const store = new FileStore("shaders");
  const names = (await store.list("")).filter((name) => name.endsWith(".wgsl"));
  expect(names.length).toBeGreaterThan(20);
  const bare: string[] = [];
  for (const name of names) {
    const size = await store.size(name);
    const source = new TextDecoder().decode(await store.read(name, { start: 0, end: size ?? 0 }));
    for (const [line] of source.matchAll(/^\s+var \w+\s*:[^=;]*;/gm)) bare.push(`${name}:${line}`);
  }
  expect(bare).toEqual([]);
});
