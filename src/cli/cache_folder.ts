import { join } from "node:path";

/** Where downloads, shards, the room and certificates are kept: TESSERA_CACHE, else below XDG's. */
export function cacheFolder(
  environment: Readonly<Record<string, string>> = Deno.env.toObject(),
): string {
  const home = environment["HOME"] ?? environment["USERPROFILE"] ?? ".";
  return environment["TESSERA_CACHE"] ??
    join(environment["XDG_CACHE_HOME"] ?? join(home, ".cache"), "tessera");
}
