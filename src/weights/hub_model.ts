/**
 * A model of the hub, by way of the cache: what is there is used without asking anyone, what is
 * missing is downloaded.
 *
 * @module
 */
import type { Store } from "../platform/platform.ts";
import { chooseWeights, TEXT_FILES, type WeightChoice } from "./choose_weights.ts";
import { download, type DownloadProgress } from "./download.ts";
import type { ByteOrigin } from "../formats/byte_source.ts";
import { openGgufModel } from "./gguf_model.ts";
import { FetchError, type HttpOptions } from "./http_range.ts";
import { openHttpSource } from "./http_source.ts";
import {
  cachedCommit,
  cachedFiles,
  partialKey,
  rememberCommit,
  snapshotPrefix,
} from "./hub_cache.ts";
import {
  asHubError,
  type HubAccess,
  HubError,
  type HubFile,
  hubFileUrl,
  hubHeaders,
  type HubListing,
  type HubRepo,
  listHubFiles,
} from "./hub_client.ts";
import { type ModelFiles, readTextFile, storeFiles } from "./model_files.ts";
import type { ModelSource } from "./model_source.ts";
import {
  INDEX_FILE,
  openSafetensorsModel,
  parseShardIndex,
  SINGLE_FILE,
} from "./safetensors_model.ts";

/** A model of the hub. */
export interface HubModelSpec extends HubRepo {
  /** A GGUF file of the repository, null to choose. */
  readonly file: string | null;
}

/** How the hub is used. */
export interface HubOptions extends HubAccess {
  /** Never ask the hub. */
  readonly isOffline: boolean;
  /** The Hugging Face cache folder. */
  readonly cache: Store;
}

/** What a download needs beside the hub's own options. */
export interface HubTransport extends HttpOptions {
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Downloads nothing: what the cache lacks is read by range. */
  readonly isHeaderOnly?: boolean;
}

/** Opens the model from the cache alone; null when something of it is missing there. */
export async function openCachedHubModel(
  spec: HubModelSpec,
  hub: HubOptions,
): Promise<ModelSource | null> {
  const { cache } = hub;
  const commit = await cachedCommit(cache, spec);
  if (commit === null) return null;
  const names = await cachedFiles(cache, spec, commit);
  const choice = chooseWeights(names, spec.file);
  if (!choice) return null;
  const shards = choice.type === "sharded" ? await shardsOf(spec, commit, cache) : [];
  if (shards.some((shard) => !names.includes(shard))) return null;
  return await openFiles(spec, choice, snapshotFiles(spec, commit, hub));
}

/**
 * Opens the model, downloading what the cache lacks. Throws a HubError, a DownloadError, a
 * FormatError, or the signal's reason.
 */
export async function openHubModel(
  spec: HubModelSpec,
  hub: HubOptions,
  transport: HubTransport,
): Promise<ModelSource> {
  const cached = await openCachedHubModel(spec, hub);
  if (cached) return cached;
  if (hub.isOffline) {
    throw new HubError(
      `"${spec.id}" is not in the cache and the hub may not be asked: unset HF_HUB_OFFLINE, or ` +
        "pass a folder or .gguf file instead",
      { status: null },
    );
  }
  const listing = await listHubFiles(spec, hub, transport);
  const choice = chooseWeights(listing.files.map(({ path }) => path), spec.file);
  if (!choice) throw nothingToRun(spec, listing);
  const { commit } = listing;
  if (transport.isHeaderOnly) {
    return await openFiles(
      spec,
      choice,
      remoteFiles({ id: spec.id, revision: commit }, {
        hub,
        transport,
      }),
    );
  }
  const fetchFile = (path: string) => fetchHubFile(spec, { path, listing, hub, transport });

  // Weights come last: a snapshot that has them has everything.
  if (choice.type === "gguf") {
    await fetchFile(choice.file);
  } else {
    for (const { path } of listing.files) if (TEXT_FILES.includes(path)) await fetchFile(path);
    if (choice.type === "sharded") {
      await fetchFile(INDEX_FILE);
      for (const shard of await shardsOf(spec, commit, hub.cache)) await fetchFile(shard);
    } else {
      await fetchFile(SINGLE_FILE);
    }
  }
  await rememberCommit(hub.cache, spec, commit);
  return await openFiles(spec, choice, snapshotFiles(spec, commit, hub));
}

async function fetchHubFile(
  spec: HubModelSpec,
  { path, listing, hub, transport }: {
    path: string;
    listing: HubListing;
    hub: HubOptions;
    transport: HubTransport;
  },
): Promise<void> {
  const file: HubFile | undefined = listing.files.find((entry) => entry.path === path);
  if (!file) {
    throw new HubError(`"${spec.id}" lacks its own file "${path}": choose another revision`, {
      status: 404,
    });
  }
  const key = snapshotPrefix(spec, listing.commit) + path;
  if (await hub.cache.size(key) !== null) return;
  // The commit, not the branch: all files are of one version, whatever is pushed meanwhile.
  const repo = { id: spec.id, revision: listing.commit };
  const { onProgress } = transport;
  try {
    await download({
      url: hubFileUrl(repo, path, hub),
      file: path,
      store: hub.cache,
      key,
      partialKey: partialKey(spec, file.sha256 ?? `${listing.commit}-${path.replaceAll("/", "-")}`),
      sizeBytes: file.sizeBytes,
      sha256: file.sha256,
      ...(onProgress ? { onProgress } : {}),
    }, { ...transport, headers: hubHeaders(hub) });
  } catch (error) {
    throw asHubError(error, repo, hub);
  }
}

async function openFiles(
  spec: HubModelSpec,
  choice: WeightChoice,
  files: ModelFiles,
): Promise<ModelSource> {
  if (choice.type !== "gguf") return await openSafetensorsModel(files, { name: spec.id });
  const source = await files.open(choice.file);
  if (!source) throw new Error(`"${files.name}" lost its "${choice.file}"`);
  const name = spec.file === null ? spec.id : `${spec.id}:${spec.file}`;
  return await openGgufModel(source, { name });
}

/** A commit in the cache. */
function snapshotFiles(spec: HubModelSpec, commit: string, hub: HubOptions): ModelFiles {
  const repo = { id: spec.id, revision: commit };
  return storeFiles(hub.cache, {
    prefix: snapshotPrefix(spec, commit),
    name: spec.id,
    originOf: (path) => hubOrigin(repo, path, hub),
  });
}

/** A commit on the hub, read by range. */
function remoteFiles(
  repo: HubRepo,
  { hub, transport }: { hub: HubOptions; transport: HubTransport },
): ModelFiles {
  return {
    name: repo.id,
    open: async (path) => {
      const http = { ...transport, headers: hubHeaders(hub) };
      const origin = hubOrigin(repo, path, hub);
      try {
        return await openHttpSource(hubFileUrl(repo, path, hub), http, { origin });
      } catch (error) {
        if (error instanceof FetchError && error.status === 404) return null;
        throw asHubError(error, repo, hub);
      }
    },
  };
}

/** The same for a file of the cache and of the hub: a commit never changes. */
function hubOrigin(repo: HubRepo, path: string, hub: HubOptions): ByteOrigin {
  return {
    urls: hub.isOffline ? [] : [hubFileUrl(repo, path, hub)],
    version: `${repo.id} ${repo.revision} ${path}`,
  };
}

/** Shard names in the cached index. */
async function shardsOf(spec: HubModelSpec, commit: string, cache: Store): Promise<string[]> {
  const files = storeFiles(cache, { prefix: snapshotPrefix(spec, commit), name: spec.id });
  const text = await readTextFile(files, INDEX_FILE) ?? "";
  return [...parseShardIndex(text, `${spec.id}/${INDEX_FILE}`).keys()];
}

function nothingToRun(spec: HubModelSpec, { files }: HubListing): HubError {
  const ggufs = files.map(({ path }) => path).filter((path) => path.endsWith(".gguf"));
  const found = ggufs.length > 0 ? `; its .gguf files are ${ggufs.slice(0, 20).join(", ")}` : "";
  return new HubError(
    spec.file === null
      ? `"${spec.id}" has neither config.json with safetensors nor a whole .gguf file${found}`
      : `"${spec.id}" has no file "${spec.file}"${found}`,
    { status: 404 },
  );
}
