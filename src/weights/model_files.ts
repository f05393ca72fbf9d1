/**
 * The files of a model in one place: a folder, or a URL that ends where a folder would.
 *
 * @module
 */
import type { ByteOrigin, ByteSource } from "../formats/byte_source.ts";
import { FormatError } from "../formats/format_error.ts";
import type { Store } from "../platform/platform.ts";
import { FetchError, type HttpOptions } from "./http_range.ts";
import { openHttpSource } from "./http_source.ts";
import { openStoreSource } from "./store_source.ts";

/** Files by name. */
export interface ModelFiles {
  /** The place, for messages. */
  readonly name: string;
  /** Null when there is no such file. */
  open(fileName: string): Promise<ByteSource | null>;
}

/** Longest text beside a model: the largest tokenizer.json is a third of it. */
const MAX_TEXT_BYTES = 100_000_000;

/**
 * The files below `prefix` (empty, or with a slash at its end) of a store. `originOf` says where a
 * file was downloaded from.
 */
export function storeFiles(
  store: Store,
  { prefix, name, originOf }: {
    prefix: string;
    name: string;
    originOf?: (fileName: string) => ByteOrigin;
  },
): ModelFiles {
  return {
    name,
    open: (fileName) =>
      openStoreSource(store, prefix + fileName, {
        name: `${name}/${fileName}`,
        ...(originOf && { origin: originOf(fileName) }),
      }),
  };
}

/** The files below a URL, fetched by range as they are read. */
export function urlFiles(url: string, http: HttpOptions): ModelFiles {
  const { origin, pathname, search } = new URL(url);
  const folder = pathname.replace(/\/*$/, "/");
  return {
    name: origin + folder.slice(0, -1),
    open: async (fileName) => {
      try {
        return await openHttpSource(origin + folder + fileName + search, http);
      } catch (error) {
        if (error instanceof FetchError && error.status === 404) return null;
        throw error;
      }
    },
  };
}

/** A file as text, null when there is none. Throws a FormatError when it is too long. */
export async function readTextFile(files: ModelFiles, fileName: string): Promise<string | null> {
  const source = await files.open(fileName);
  if (!source) return null;
  try {
    if (source.size > MAX_TEXT_BYTES) {
      throw new FormatError(source.name, `it has ${source.size} bytes, too many for a text`);
    }
    return new TextDecoder().decode(await source.read(0, source.size));
  } finally {
    await source.close();
  }
}

/** A file that holds a JSON object, null when there is none. Throws a FormatError. */
export async function readJsonFile(
  files: ModelFiles,
  fileName: string,
): Promise<Record<string, unknown> | null> {
  const text = await readTextFile(files, fileName);
  return text === null ? null : parseJsonObject(text, `${files.name}/${fileName}`);
}

/** `text` as a JSON object. Throws a FormatError that names `fileName`. */
export function parseJsonObject(text: string, fileName: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FormatError(fileName, `it is not JSON (${(error as Error).message})`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new FormatError(fileName, "it is no JSON object");
}
