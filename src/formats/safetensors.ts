/**
 * Safetensors headers: 8 bytes of length, JSON, tensors. Everything that the header claims is
 * checked against the size of the file before it is used, as strictly as the reference
 * implementation in Rust: tensors fill the rest of the file without a hole.
 *
 * @module
 */
import type { ByteSource } from "./byte_source.ts";
import { DAMAGED, FormatError } from "./format_error.ts";
import { countJson } from "./json_shape.ts";
import { countElements, findOverlap, type ListedTensor } from "./tensor_entry.ts";
import type { WeightFormat } from "../core.ts";

/** What a safetensors file holds. */
export interface SafetensorsHeader {
  /** The `__metadata__` strings. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, ListedTensor>;
}

/** Longest header that the reference implementation accepts. */
const MAX_HEADER_BYTES = 100_000_000;
/** Tensors in a file; the largest published shards have thousands. */
const MAX_TENSORS = 131_072;
/** Values in a header: names, types, sizes and offsets of that many. */
const MAX_HEADER_VALUES = 16 * MAX_TENSORS;
const MAX_NAME_LENGTH = 1024;

/** Bits of an element. */
const DTYPE_BITS: Readonly<Record<string, number>> = {
  F64: 64,
  F32: 32,
  F16: 16,
  BF16: 16,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F4: 4,
  I64: 64,
  I32: 32,
  I16: 16,
  I8: 8,
  U64: 64,
  U32: 32,
  U16: 16,
  U8: 8,
  BOOL: 8,
  C64: 64,
};

const DTYPE_FORMATS: Readonly<Record<string, WeightFormat>> = {
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
};

/** Reads and checks the header. Throws a FormatError. */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsHeader> {
  if (source.size < 8) {
    throw new FormatError(source.name, `it has ${source.size} bytes; ${DAMAGED}`);
  }
  const lengthBytes = await source.read(0, 8);
  const claimed = new DataView(lengthBytes.buffer, lengthBytes.byteOffset).getBigUint64(0, true);
  if (claimed > MAX_HEADER_BYTES || 8 + Number(claimed) > source.size) {
    throw new FormatError(
      source.name,
      `its header claims ${claimed} bytes of a file of ${source.size}; it is no safetensors ` +
        `file, or ${DAMAGED}`,
    );
  }
  const dataOffset = 8 + Number(claimed);
  const members = parseHeader(await source.read(8, dataOffset), source.name);

  const metadata = new Map<string, string>();
  const tensors = new Map<string, ListedTensor>();
  for (const [name, value] of Object.entries(members)) {
    if (name === "__metadata__") {
      for (const [key, text] of Object.entries(asObject(value, name, source.name))) {
        if (typeof text === "string") metadata.set(key, text);
      }
    } else {
      tensors.set(name, readTensor(name, value, { source, dataOffset }));
    }
  }
  checkCoverage(tensors, { source, dataOffset });
  return { metadata, tensors };
}

function parseHeader(bytes: Uint8Array, fileName: string): Record<string, unknown> {
  const count = countJson(bytes);
  // A header is an object of objects with arrays of numbers.
  if (
    count.depth > 3 || count.numValues > MAX_HEADER_VALUES ||
    count.numTopMembers > MAX_TENSORS
  ) {
    throw new FormatError(
      fileName,
      `its header is nested ${count.depth} deep with ${count.numTopMembers} entries of ` +
        `${count.numValues} values; ${DAMAGED}`,
    );
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new FormatError(fileName, `its header is not JSON; ${DAMAGED}`);
  }
  const members = asObject(parsed, "header", fileName);
  // JSON.parse keeps the last of equal names; the count in the text tells.
  if (Object.keys(members).length !== count.numTopMembers) {
    throw new FormatError(fileName, `its header names a tensor twice; ${DAMAGED}`);
  }
  return members;
}

function readTensor(
  name: string,
  value: unknown,
  { source, dataOffset }: { source: ByteSource; dataOffset: number },
): ListedTensor {
  const fail = (problem: string) =>
    new FormatError(source.name, `tensor "${name.slice(0, 200)}" ${problem}; ${DAMAGED}`);
  if (name.length > MAX_NAME_LENGTH) throw fail(`has a name of ${name.length} characters`);
  const { dtype, shape, data_offsets: range } = asObject(value, name, source.name);
  if (typeof dtype !== "string" || !Object.hasOwn(DTYPE_BITS, dtype)) {
    throw fail(`has the unknown type "${String(dtype).slice(0, 40)}"`);
  }
  if (!isSizes(shape)) throw fail("has a shape that is no list of sizes");
  if (!isSizes(range) || range.length !== 2) throw fail("has no pair of offsets");
  const [start, end] = range as [number, number];
  if (start > end || dataOffset + end > source.size) {
    throw fail(`lies at [${start}, ${end}) of ${source.size - dataOffset} bytes`);
  }
  const numElements = countElements(shape);
  const numBits = (numElements ?? NaN) * DTYPE_BITS[dtype]!;
  if (!Number.isSafeInteger(numBits)) throw fail(`has the impossible shape [${shape}]`);
  if (numBits !== (end - start) * 8) {
    throw fail(`has ${end - start} bytes where ${dtype} of shape [${shape}] takes ${numBits / 8}`);
  }
  return {
    name,
    format: DTYPE_FORMATS[dtype] ?? null,
    typeName: dtype,
    shape,
    offset: dataOffset + start,
    byteLength: end - start,
  };
}

function checkCoverage(
  tensors: ReadonlyMap<string, ListedTensor>,
  { source, dataOffset }: { source: ByteSource; dataOffset: number },
): void {
  const overlap = findOverlap(tensors.values());
  if (overlap) {
    const [a, b] = overlap;
    throw new FormatError(source.name, `tensors "${a.name}" and "${b.name}" overlap; ${DAMAGED}`);
  }
  let covered = dataOffset;
  for (const tensor of tensors.values()) covered += tensor.byteLength;
  if (covered !== source.size) {
    throw new FormatError(
      source.name,
      `its tensors fill ${covered} of ${source.size} bytes; ${DAMAGED}`,
    );
  }
}

function asObject(value: unknown, name: string, fileName: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new FormatError(fileName, `"${name}" is no JSON object; ${DAMAGED}`);
}

/** A list of non-negative safe integers, at most 16 of them. */
function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length <= 16 &&
    value.every((size) => Number.isSafeInteger(size) && size >= 0);
}
