import { dirname } from "node:path";

/** Replaces a file at once; nobody else may read it at any time. Makes its folder. */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const newPath = `${path}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(newPath, text, { createNew: true, mode: 0o600 });
  await Deno.rename(newPath, path);
}
