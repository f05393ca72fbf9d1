/**
 * Typed metadata of a GGUF file.
 *
 * @module
 */
import { DAMAGED, FormatError } from "./format_error.ts";
import type { HeaderCursor } from "./header_cursor.ts";

/** Arrays of numbers. Booleans come as bytes of 0 and 1. */
export type GgufNumbers =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array;

/** A metadata value. 64-bit integers are numbers where a number holds them exactly. */
export type GgufValue =
  | boolean
  | number
  | bigint
  | string
  | GgufNumbers
  | readonly string[]
  | readonly GgufValue[];

/** Metadata by key, such as "general.architecture". */
export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** How many strings and nested arrays a header may still make; the rest is packed numbers. */
export interface ValueBudget {
  numLeft: number;
}

const MAX_NESTING = 4;
/** An array object costs memory like this many short strings. */
const NESTED_ARRAY_COST = 64;

const STRING = 8;
const ARRAY = 9;

/** Numbers by type in the file: bytes of one, and how an array of them is seen. */
const NUMBERS: ReadonlyMap<
  number,
  { readonly bytes: number; readonly view: (bytes: Uint8Array<ArrayBuffer>) => GgufNumbers }
> = new Map([
  [0, { bytes: 1, view: (bytes: Uint8Array<ArrayBuffer>): GgufNumbers => bytes }],
  [1, { bytes: 1, view: ({ buffer }) => new Int8Array(buffer) }],
  [2, { bytes: 2, view: ({ buffer }) => new Uint16Array(buffer) }],
  [3, { bytes: 2, view: ({ buffer }) => new Int16Array(buffer) }],
  [4, { bytes: 4, view: ({ buffer }) => new Uint32Array(buffer) }],
  [5, { bytes: 4, view: ({ buffer }) => new Int32Array(buffer) }],
  [6, { bytes: 4, view: ({ buffer }) => new Float32Array(buffer) }],
  [7, { bytes: 1, view: (bytes) => bytes.map((byte) => byte === 0 ? 0 : 1) }],
  [10, { bytes: 8, view: ({ buffer }) => new BigUint64Array(buffer) }],
  [11, { bytes: 8, view: ({ buffer }) => new BigInt64Array(buffer) }],
  [12, { bytes: 8, view: ({ buffer }) => new Float64Array(buffer) }],
]);

/** Reads a value of the numbered `type`. Throws a FormatError that names `key`. */
export function readGgufValue(
  cursor: HeaderCursor,
  { type, key, fileName, budget }: {
    type: number;
    key: string;
    fileName: string;
    budget: ValueBudget;
  },
): GgufValue {
  switch (type) {
    case 0:
      return cursor.u8();
    case 1:
      return cursor.i8();
    case 2:
      return cursor.u16();
    case 3:
      return cursor.i16();
    case 4:
      return cursor.u32();
    case 5:
      return cursor.i32();
    case 6:
      return cursor.f32();
    case 7:
      return cursor.u8() !== 0;
    case STRING:
      return cursor.string();
    case ARRAY:
      return readArray(cursor, 1);
    case 10:
      return exact(cursor.u64());
    case 11:
      return exact(cursor.i64());
    case 12:
      return cursor.f64();
    default:
      throw fail(`has the unknown value type ${type}`);
  }

  function readArray(cursor: HeaderCursor, depth: number): GgufValue {
    const type = cursor.u32();
    const numbers = NUMBERS.get(type);
    if (numbers) {
      const count = cursor.count(`numbers in "${key}"`, numbers.bytes);
      return numbers.view(cursor.bytes(count * numbers.bytes));
    }
    if (type === STRING) {
      const count = cursor.count(`strings in "${key}"`, 8);
      spend(count);
      const strings: string[] = [];
      for (let i = 0; i < count; i++) strings.push(cursor.string());
      return strings;
    }
    if (type !== ARRAY) throw fail(`is an array of the unknown type ${type}`);
    if (depth === MAX_NESTING) throw fail(`nests arrays more than ${MAX_NESTING} deep`);
    const count = cursor.count(`arrays in "${key}"`, 12);
    spend(count * NESTED_ARRAY_COST);
    const arrays: GgufValue[] = [];
    for (let i = 0; i < count; i++) arrays.push(readArray(cursor, depth + 1));
    return arrays;
  }

  function spend(cost: number): void {
    if (cost > budget.numLeft) throw fail("makes the header hold too many strings and arrays");
    budget.numLeft -= cost;
  }

  function fail(problem: string): FormatError {
    return new FormatError(fileName, `metadata "${key}" ${problem}; ${DAMAGED}`);
  }
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
