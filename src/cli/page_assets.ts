import { join } from "node:path";
import type { ReadAsset } from "../server/page.ts";

const CONTENT_TYPES: ReadonlyMap<string, string> = new Map([
  ["html", "text/html; charset=utf-8"],
  ["js", "text/javascript; charset=utf-8"],
  ["css", "text/css; charset=utf-8"],
  ["svg", "image/svg+xml"],
  ["json", "application/json"],
  ["webmanifest", "application/manifest+json"],
  ["png", "image/png"],
  ["ico", "image/x-icon"],
  ["txt", "text/plain; charset=utf-8"],
]);
/** How a path fails that names no file. */
const { NotFound, IsADirectory, NotADirectory } = Deno.errors;

/** Files of a folder, for the server's page. The server has checked the paths. */
export function folderAssets(folder: string): ReadAsset {
  return async (path) => {
    try {
      const bytes = await Deno.readFile(join(folder, path));
      const contentType = CONTENT_TYPES.get(path.split(".").at(-1) ?? "") ??
        "application/octet-stream";
      return { bytes, contentType };
    } catch (error) {
      if ([NotFound, IsADirectory, NotADirectory].some((kind) => error instanceof kind)) {
        return null;
      }
      throw error;
    }
  };
}
