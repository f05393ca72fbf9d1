/**
 * The Hugging Face cache on disk: `models--org--name/{refs,blobs,snapshots}`. Files are written
 * into the snapshot itself, as `huggingface_hub` does where links are not to be had; its own
 * snapshots of links are read all the same.
 *
 * @module
 */
import type { Store } from "../platform/platform.ts";
import { readEntry, writeEntry } from "./download.ts";
import type { HubRepo } from "./hub_client.ts";

/** A full commit names itself. */
const COMMIT = /^[0-9a-f]{40}$/;

/** The commit that `repo`'s revision was when it was last fetched, null when it never was. */
export async function cachedCommit(cache: Store, repo: HubRepo): Promise<string | null> {
  if (COMMIT.test(repo.revision)) return repo.revision;
  const commit = (await readEntry(cache, refKey(repo)))?.trim() ?? "";
  return COMMIT.test(commit) ? commit : null;
}

/** Remembers the commit of a branch or tag. */
export async function rememberCommit(cache: Store, repo: HubRepo, commit: string): Promise<void> {
  if (!COMMIT.test(repo.revision)) await writeEntry(cache, refKey(repo), commit);
}

/** Prefix of the files of a commit, with a slash at its end. */
export function snapshotPrefix({ id }: HubRepo, commit: string): string {
  return `${repoFolder(id)}/snapshots/${commit}/`;
}

/** Where a file waits until it is complete. */
export function partialKey({ id }: HubRepo, blob: string): string {
  return `${repoFolder(id)}/blobs/${blob}.incomplete`;
}

/** Names of the files in the cache of a commit. */
export async function cachedFiles(
  cache: Store,
  repo: HubRepo,
  commit: string,
): Promise<readonly string[]> {
  const prefix = snapshotPrefix(repo, commit);
  return (await cache.list(prefix)).map((key) => key.slice(prefix.length));
}

function refKey({ id, revision }: HubRepo): string {
  return `${repoFolder(id)}/refs/${revision}`;
}

function repoFolder(id: string): string {
  return `models--${id.replaceAll("/", "--")}`;
}
