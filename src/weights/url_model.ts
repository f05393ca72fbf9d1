/**
 * A model at a URL: a .gguf file, or a folder laid out like a hub repository. Downloaded into a
 * cache, or, without one, read by range as layers need it.
 *
 * @module
 */
import type { ByteSource } from "../formats/byte_source.ts";
import type { Store } from "../platform/platform.ts";
import { download, type DownloadProgress } from "./download.ts";
import { openGgufModel } from "./gguf_model.ts";
import { FetchError, type HttpOptions } from "./http_range.ts";
import { openHttpSource, urlOrigin } from "./http_source.ts";
import { type ModelFiles, urlFiles } from "./model_files.ts";
import { modelNameOf } from "./model_spec.ts";
import type { ModelSource } from "./model_source.ts";
import { openSafetensorsModel } from "./safetensors_model.ts";
import { Sha256 } from "./sha256.ts";
import { openStoreSource } from "./store_source.ts";

/** How a URL is read. */
export interface UrlTransport extends HttpOptions {
  /** Where downloads stay; null to read by range and keep nothing. */
  readonly cache: Store | null;
  /** Reads by range what the cache lacks, and keeps nothing of it. */
  readonly isHeaderOnly?: boolean;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** Opens the model at `url`. Throws a FetchError, a DownloadError or a FormatError. */
export async function openUrlModel(url: string, transport: UrlTransport): Promise<ModelSource> {
  const name = modelNameOf(decodePath(new URL(url).pathname));
  const { cache } = transport;
  if (/\.gguf$/i.test(new URL(url).pathname)) {
    const source = cache
      ? await openCached(url, { ...transport, cache })
      : await openHttpSource(url, transport);
    return await openGgufModel(source, { name });
  }
  const remote = urlFiles(url, transport);
  return await openSafetensorsModel(cache ? cachedFiles(url, { ...transport, cache }) : remote, {
    name,
  });
}

function cachedFiles(url: string, transport: UrlTransport & { cache: Store }): ModelFiles {
  const { origin, pathname, search } = new URL(url);
  const folder = origin + pathname.replace(/\/*$/, "/");
  return {
    name: folder.slice(0, -1),
    open: async (fileName) => {
      try {
        return await openCached(folder + fileName + search, transport);
      } catch (error) {
        if (error instanceof FetchError && error.status === 404) return null;
        throw error;
      }
    },
  };
}

async function openCached(
  url: string,
  { cache, onProgress, isHeaderOnly = false, ...http }: UrlTransport & { cache: Store },
): Promise<ByteSource> {
  const { origin, pathname } = new URL(url);
  const hash = new Sha256();
  // Signatures in the query change with every link to the same file.
  hash.update(new TextEncoder().encode(origin + pathname));
  const file = decodePath(pathname.split("/").at(-1) ?? "");
  const key = `urls/${hash.digest().slice(0, 16)}/${file.replaceAll(/[^\w.-]/g, "_")}`;
  if (await cache.size(key) === null) {
    if (isHeaderOnly) return await openHttpSource(url, http);
    await download({
      url,
      file,
      store: cache,
      key,
      partialKey: `${key}.incomplete`,
      ...(onProgress ? { onProgress } : {}),
    }, http);
  }
  const source = await openStoreSource(cache, key, {
    name: origin + pathname,
    origin: urlOrigin(url, { etag: null, headers: http.headers }),
  });
  if (!source) throw new Error(`The cache lost "${key}"`);
  return source;
}

/** Without percent signs where they can be undone. */
function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
