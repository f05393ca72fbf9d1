/**
 * How big a JSON text would become, found without parsing it: a parser given a hostile text may
 * take gigabytes before anyone can object.
 *
 * @module
 */

/** Counts over a JSON text. Meaningless, but finite, where the text is not JSON. */
export interface JsonShape {
  /** Deepest nesting of objects and arrays. */
  readonly depth: number;
  /** Upper bound of the values in it. */
  readonly numValues: number;
  /** Members of the outermost object, equal names counted each time. */
  readonly numTopMembers: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

/** Counts in one pass over UTF-8 bytes. */
export function countJson(bytes: Uint8Array): JsonShape {
  let level = 0;
  let depth = 0;
  let numValues = 1;
  let numTopMembers = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === QUOTE) {
      at++;
      while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
    } else if (byte === 0x7b || byte === 0x5b) {
      level++;
      numValues++;
      if (level > depth) depth = level;
    } else if (byte === 0x7d || byte === 0x5d) {
      level--;
    } else if (byte === COMMA) {
      numValues++;
    } else if (byte === COLON && level === 1) {
      numTopMembers++;
    }
  }
  return { depth, numValues, numTopMembers };
}
