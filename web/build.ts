/**
 * Builds the page into web/dist, unless what is there is of the same sources:
 * `deno run -A web/build.ts`.
 *
 * @module
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createHash, randomUUID } from "node:crypto";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { BuiltFiles } from "./build_files.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
/** What the page is made of. */
const SOURCES = ["web", "src", "shaders", "package.json"];
const HASH_FILE = "sources.sha256";

/** What a build left. */
export interface BuiltPage {
  /** The folder with index.html. */
  readonly folder: string;
  /** Nothing had to be done. */
  readonly wasFresh: boolean;
}

/** Where the page is built to. */
export const PAGE_FOLDER: string = join(ROOT, "web/dist");

/** Builds the page into `folder` where its sources changed. Throws what Vite throws. */
export async function buildPage(folder: string = PAGE_FOLDER): Promise<BuiltPage> {
  const hash = await hashSources();
  const hashPath = join(folder, HASH_FILE);
  const oldHash = await readFile(hashPath, "utf8").catch(() => null);
  if (oldHash === hash) return { folder, wasFresh: true };
  await writeBuilt(await bundle(), folder);
  await writeWhole(hashPath, hash);
  return { folder, wasFresh: false };
}

async function bundle(): Promise<BuiltFiles> {
  // Loaded only where something is to be built.
  const [{ buildFiles }, { default: config }] = await Promise.all([
    import("./build_files.ts"),
    import("./vite.config.ts"),
  ]);
  return await buildFiles(config);
}

/**
 * Others may serve the folder or build it meanwhile: every file appears whole, index.html after
 * what it names, and what it named before goes last.
 */
async function writeBuilt(files: BuiltFiles, folder: string): Promise<void> {
  const names = [...files.keys()];
  for (const name of names.filter((name) => name !== "index.html")) {
    await writeWhole(join(folder, name), files.get(name)!);
  }
  await writeWhole(join(folder, "index.html"), files.get("index.html")!);
  for (const path of await listFiles(folder)) {
    const name = relative(folder, path).replaceAll("\\", "/");
    if (!files.has(name) && name !== HASH_FILE) await rm(path, { force: true });
  }
}

async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const partPath = `${path}.${randomUUID()}.part`;
  await writeFile(partPath, content);
  await rename(partPath, path);
}

async function hashSources(): Promise<string> {
  const hash = createHash("sha256");
  const lists = await Promise.all(SOURCES.map((name) => listFiles(join(ROOT, name))));
  const paths = lists.flat().filter((path) => !path.startsWith(PAGE_FOLDER)).sort();
  for (const path of paths) {
    const content = await readFile(path);
    hash.update(`${relative(ROOT, path)}\n${content.length}\n`).update(content);
  }
  return hash.digest("hex");
}

/** A file alone, or all files below a folder. */
async function listFiles(path: string): Promise<string[]> {
  if (path.endsWith(".json")) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) =>
    join(parentPath, name)
  );
}

if (import.meta.main) {
  const { folder, wasFresh } = await buildPage();
  console.error(wasFresh ? `${folder} is up to date` : `Built ${folder}`);
}
