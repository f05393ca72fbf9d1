import { BYTE_CHARACTERS, toByteCharacters } from "./byte_alphabet.ts";

/** How a piece of text becomes the symbols that merging starts from. */
export interface Alphabet {
  /** Writes the symbols of `piece` and returns how many; `into` has room for its UTF-8 bytes. */
  write(piece: string, into: Int32Array): number;
  /** `piece` as the vocabulary would spell it. */
  spell(piece: string): string;
}

/** One symbol per UTF-8 byte, for byte-level vocabularies. */
export class ByteAlphabet implements Alphabet {
  readonly #encoder = new TextEncoder();
  readonly #symbols: Int32Array;
  #bytes = new Uint8Array(256);

  constructor(ids: ReadonlyMap<string, number>, unknownId: number | null) {
    this.#symbols = Int32Array.from(
      BYTE_CHARACTERS,
      (character) => ids.get(character) ?? unknownId ?? -1,
    );
  }

  write(piece: string, into: Int32Array): number {
    if (this.#bytes.length < piece.length * 3) this.#bytes = new Uint8Array(piece.length * 3);
    const { written } = this.#encoder.encodeInto(piece, this.#bytes);
    let count = 0;
    for (let i = 0; i < written; i++) {
      const symbol = this.#symbols[this.#bytes[i]!]!;
      if (symbol >= 0) into[count++] = symbol;
    }
    return count;
  }

  spell(piece: string): string {
    return toByteCharacters(piece);
  }
}

/** What a `CharacterAlphabet` does with characters outside the vocabulary. */
export interface CharacterFallback {
  /** Ids of the tokens `<0x00>` to `<0xFF>`, or null when the vocabulary has no byte fallback. */
  readonly byteIds: Int32Array | null;
  readonly unknownId: number | null;
  /** A run of unknown characters is one unknown token. */
  readonly fusesUnknown: boolean;
}

/** One symbol per character, for SentencePiece-style vocabularies. */
export class CharacterAlphabet implements Alphabet {
  readonly #encoder = new TextEncoder();
  readonly #symbols: ReadonlyMap<number, number>;
  readonly #fallback: CharacterFallback;

  /** `symbols` maps code points to symbol ids. */
  constructor(symbols: ReadonlyMap<number, number>, fallback: CharacterFallback) {
    this.#symbols = symbols;
    this.#fallback = fallback;
  }

  write(piece: string, into: Int32Array): number {
    const { byteIds, unknownId, fusesUnknown } = this.#fallback;
    let count = 0;
    let wasUnknown = false;
    for (let i = 0; i < piece.length; i++) {
      const codePoint = piece.codePointAt(i)!;
      const isPair = codePoint > 0xffff;
      const symbol = this.#symbols.get(codePoint);
      if (symbol !== undefined) {
        into[count++] = symbol;
        wasUnknown = false;
      } else if (byteIds !== null) {
        const bytes = this.#encoder.encode(piece.slice(i, i + (isPair ? 2 : 1)));
        for (const byte of bytes) into[count++] = byteIds[byte]!;
      } else if (unknownId !== null) {
        if (!(wasUnknown && fusesUnknown)) into[count++] = unknownId;
        wasUnknown = true;
      }
      if (isPair) i++;
    }
    return count;
  }

  spell(piece: string): string {
    return piece;
  }
}

/** Code point to id of every vocabulary entry that is a single character. */
export function characterSymbols(ids: ReadonlyMap<string, number>): Map<number, number> {
  const symbols = new Map<number, number>();
  for (const [token, id] of ids) {
    if (token.length > 2) continue;
    const codePoint = token.codePointAt(0);
    if (codePoint !== undefined && token.length === (codePoint > 0xffff ? 2 : 1)) {
      symbols.set(codePoint, id);
    }
  }
  return symbols;
}

/** Ids of `<0x00>` to `<0xFF>`, or null unless the vocabulary has them all. */
export function byteFallbackIds(ids: ReadonlyMap<string, number>): Int32Array | null {
  const byteIds = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    const id = ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    if (id === undefined) return null;
    byteIds[byte] = id;
  }
  return byteIds;
}
