import { delimiter, join } from "node:path";

/** The real path of a program in PATH. */
export async function findProgram(name: string): Promise<string> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(delimiter)) {
    const path = await Deno.realPath(join(folder, name)).catch(() => null);
    if (path !== null && (await Deno.stat(path)).isFile) return path;
  }
  throw new Error(`"${name}" is not in PATH: run "deno task setup --for-tests"`);
}
