/**
 * Manifests as they come from the coordinator: nothing of them is believed before it is checked.
 *
 * @module
 */
import { z } from "zod";
import type { WeightFormat } from "../core.ts";
import { countElements } from "../formats/tensor_entry.ts";
import { WEIGHT_FORMATS } from "../formats/weight_format.ts";
import { isSharedUrl } from "./shared_url.ts";
import type { ManifestTensor, ShardManifest } from "./shard_manifest.ts";

const MAX_TENSORS = 65_536;
const MAX_FILES = 4096;
const MAX_URLS = 8;
const MAX_URL_LENGTH = 4096;
const MAX_NAME_LENGTH = 1024;
const MAX_DIMENSIONS = 8;
/** Longest configuration as JSON, in UTF-16 units. */
const MAX_CONFIG_LENGTH = 1024 * 1024;

const FORMATS = Object.keys(WEIGHT_FORMATS) as [WeightFormat, ...WeightFormat[]];

const bytes = z.int().min(0);
const name = z.string().min(1).max(MAX_NAME_LENGTH);

const MANIFEST = z.strictObject({
  name: z.string().max(MAX_NAME_LENGTH),
  hfConfig: z.custom<Readonly<Record<string, unknown>>>(isConfig),
  files: z.array(z.strictObject({
    key: z.string().regex(/^[0-9a-f]{64}$/),
    sizeBytes: bytes,
    urls: z.array(z.string().max(MAX_URL_LENGTH).refine(isSharedUrl)).max(MAX_URLS),
  })).max(MAX_FILES),
  tensors: z.array(z.strictObject({
    name,
    format: z.enum(FORMATS),
    shape: z.array(bytes).max(MAX_DIMENSIONS),
    offset: bytes,
    byteLength: bytes,
    file: z.int().min(0),
  })).max(MAX_TENSORS),
});

/**
 * A manifest whose tensors have distinct names, lie inside their files and are as long as format
 * and shape say; null for anything else.
 */
export function parseShardManifest(value: unknown): ShardManifest | null {
  if (isTooLong(value)) return null;
  const { data: manifest } = MANIFEST.safeParse(value);
  if (manifest === undefined) return null;
  const names = new Set(manifest.tensors.map((tensor) => tensor.name));
  if (names.size !== manifest.tensors.length) return null;
  const areInside = manifest.tensors.every((tensor) => {
    const file = manifest.files[tensor.file];
    return file !== undefined && tensor.offset + tensor.byteLength <= file.sizeBytes &&
      tensor.byteLength === expectedBytes(tensor);
  });
  return areInside ? manifest : null;
}

/** Long lists are refused before each of their members is looked at. */
function isTooLong(value: unknown): boolean {
  const { tensors, files } = (value ?? {}) as { tensors?: unknown; files?: unknown };
  return Array.isArray(tensors) && tensors.length > MAX_TENSORS ||
    Array.isArray(files) && files.length > MAX_FILES;
}

/** Null when rows split a block, or the size is no safe integer. */
function expectedBytes({ format, shape }: ManifestTensor): number | null {
  const { blockSize, blockBytes } = WEIGHT_FORMATS[format];
  const numElements = countElements(shape);
  if (numElements === null || (shape.at(-1) ?? 1) % blockSize !== 0) return null;
  const numBytes = numElements / blockSize * blockBytes;
  return Number.isSafeInteger(numBytes) ? numBytes : null;
}

function isConfig(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  try {
    return JSON.stringify(value).length <= MAX_CONFIG_LENGTH;
  } catch {
    // Nested too deeply, or no JSON at all.
    return false;
  }
}
