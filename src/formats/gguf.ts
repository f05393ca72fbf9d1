/**
 * GGUF headers, versions 2 and 3, little-endian. Every count, length, product and offset is
 * checked before it is used, and only the header is fetched. Our own parser because
 * `@huggingface/gguf` 0.4.6 leaves tensor offsets, sizes and overlaps unchecked and reads from a
 * URL or path only.
 *
 * @module
 */
import type { ByteSource } from "./byte_source.ts";
import { DAMAGED, FormatError } from "./format_error.ts";
import { GGML_TYPES } from "./ggml_type.ts";
import { type GgufMetadata, type GgufValue, readGgufValue } from "./gguf_value.ts";
import { HeaderCursor } from "./header_cursor.ts";
import { countElements, findOverlap, type ListedTensor } from "./tensor_entry.ts";

/** What a GGUF file holds. */
export interface GgufHeader {
  readonly version: number;
  readonly metadata: GgufMetadata;
  /** By the name in the file, such as "blk.0.attn_q.weight". */
  readonly tensors: ReadonlyMap<string, ListedTensor>;
}

const MAX_HEADER_BYTES = 100_000_000;
/** Tensors, and metadata entries, in a file. */
const MAX_ENTRIES = 131_072;
/** Strings in all of the metadata; the largest vocabularies with their merges take 0.8 million. */
const MAX_STRINGS = 1_200_000;
const MAX_NAME_LENGTH = 1024;
const MAX_DIMS = 4;
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 1 << 20;

/** Reads and checks the header. Throws a FormatError. */
export async function readGgufHeader(source: ByteSource): Promise<GgufHeader> {
  const fileName = source.name;
  const cursor = new HeaderCursor(source, { maxBytes: MAX_HEADER_BYTES });
  const { version, numTensors, numValues } = await cursor.read(() => readCounts(cursor, fileName));

  const metadata = new Map<string, GgufValue>();
  const budget = { numLeft: MAX_STRINGS };
  for (let i = 0; i < numValues; i++) {
    const numLeft = budget.numLeft;
    const { key, value } = await cursor.read(() => {
      budget.numLeft = numLeft;
      const key = readName(cursor, fileName);
      const type = cursor.u32();
      return { key, value: readGgufValue(cursor, { type, key, fileName, budget }) };
    });
    if (metadata.has(key)) {
      throw new FormatError(fileName, `metadata "${key}" is there twice; ${DAMAGED}`);
    }
    metadata.set(key, value);
  }
  const alignment = readAlignment(metadata, fileName);

  const listed: ListedTensor[] = [];
  for (let i = 0; i < numTensors; i++) {
    listed.push(await cursor.read(() => readTensor(cursor, { fileName, alignment })));
  }
  // Offsets in the file count from the first aligned byte after the header.
  const dataOffset = Math.ceil(cursor.position / alignment) * alignment;
  const tensors = new Map<string, ListedTensor>();
  for (const { offset, ...tensor } of listed) {
    if (tensors.has(tensor.name)) {
      throw new FormatError(fileName, `tensor "${tensor.name}" is there twice; ${DAMAGED}`);
    }
    if (dataOffset + offset + tensor.byteLength > source.size) {
      throw new FormatError(
        fileName,
        `tensor "${tensor.name}" ends at byte ${dataOffset + offset + tensor.byteLength} of ` +
          `${source.size}; ${DAMAGED}`,
      );
    }
    tensors.set(tensor.name, { ...tensor, offset: dataOffset + offset });
  }
  const overlap = findOverlap(tensors.values());
  if (overlap) {
    const [a, b] = overlap;
    throw new FormatError(fileName, `tensors "${a.name}" and "${b.name}" overlap; ${DAMAGED}`);
  }
  return { version, metadata, tensors };
}

function readCounts(cursor: HeaderCursor, fileName: string) {
  if (cursor.numBytesLeft < 24) {
    throw new FormatError(fileName, `it has ${cursor.numBytesLeft} bytes; ${DAMAGED}`);
  }
  if (cursor.u32() !== 0x46554747) {
    throw new FormatError(fileName, `it does not start with "GGUF": is it a GGUF file?`);
  }
  const version = cursor.u32();
  if (version !== 2 && version !== 3) {
    const isBigEndian = (version & 0xffff) === 0;
    throw new FormatError(
      fileName,
      isBigEndian
        ? "it is big-endian: convert it to little-endian with gguf-convert-endian"
        : `GGUF version ${version} is not supported: convert the model again, to version 3`,
    );
  }
  // A tensor takes a name's length, dimensions, type and offset; a value a key's length and a type.
  const numTensors = cursor.count("tensors", 24);
  const numValues = cursor.count("metadata entries", 13);
  if (Math.max(numTensors, numValues) > MAX_ENTRIES) {
    throw new FormatError(
      fileName,
      `it claims ${numTensors} tensors and ${numValues} metadata entries; ${DAMAGED}`,
    );
  }
  return { version, numTensors, numValues };
}

function readName(cursor: HeaderCursor, fileName: string): string {
  const name = cursor.string();
  if (name.length > MAX_NAME_LENGTH) {
    throw new FormatError(fileName, `a name has ${name.length} characters; ${DAMAGED}`);
  }
  return name;
}

function readAlignment(metadata: GgufMetadata, fileName: string): number {
  const alignment = metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT;
  if (
    typeof alignment === "number" && alignment >= 1 && alignment <= MAX_ALIGNMENT &&
    Number.isInteger(Math.log2(alignment))
  ) return alignment;
  throw new FormatError(
    fileName,
    `"general.alignment" is ${String(alignment).slice(0, 40)}, no power of two; ${DAMAGED}`,
  );
}

/** A tensor's entry, its offset still relative to the tensor data. */
function readTensor(
  cursor: HeaderCursor,
  { fileName, alignment }: { fileName: string; alignment: number },
): ListedTensor {
  const name = readName(cursor, fileName);
  const fail = (problem: string) =>
    new FormatError(fileName, `tensor "${name}" ${problem}; ${DAMAGED}`);
  const numDims = cursor.u32();
  if (numDims > MAX_DIMS) throw fail(`has ${numDims} dimensions`);
  const dims: number[] = [];
  for (let i = 0; i < numDims; i++) dims.push(Number(cursor.u64()));
  const numElements = countElements(dims);
  if (numElements === null) throw fail(`has the impossible shape [${dims}]`);

  const typeNumber = cursor.u32();
  const type = GGML_TYPES.get(typeNumber);
  const offset = Number(cursor.u64());
  if (!Number.isSafeInteger(offset) || offset % alignment !== 0) {
    throw fail(`starts at ${offset}, no multiple of ${alignment}`);
  }
  if (type && (dims[0] ?? 1) % type.blockSize !== 0) {
    throw fail(`has rows of ${dims[0]}, no whole blocks of ${type.name}`);
  }
  // A type from the future has an unknown size; it is an error only for who needs the tensor.
  const byteLength = type ? numElements / type.blockSize * type.blockBytes : 0;
  if (!Number.isSafeInteger(offset + byteLength)) throw fail(`has ${byteLength} bytes`);
  return {
    name,
    format: type?.format ?? null,
    typeName: type?.name ?? `type ${typeNumber}`,
    shape: dims.reverse(),
    offset,
    byteLength,
  };
}
