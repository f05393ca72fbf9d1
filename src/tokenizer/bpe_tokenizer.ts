import { type AddedToken, AddedTokenSplitter } from "./added_tokens.ts";
import type { Bpe } from "./bpe.ts";
import { fromByteCharacters } from "./byte_alphabet.ts";
import type { PreTokenizer } from "./pre_tokenizer.ts";
import { type EncodeOptions, type Tokenizer, TokenizerError } from "./tokenizer.ts";

/** How a vocabulary spells bytes: one character each, or "▁" for a space and `<0xNN>` for a byte. */
export type Spelling = "byteLevel" | "sentencePiece";

/** What a tokenizer file is read into. */
export interface BpeTokenizerParts {
  /** The vocabulary by id, added tokens included. */
  readonly tokens: readonly (string | undefined)[];
  readonly ids: ReadonlyMap<string, number>;
  readonly addedTokens: readonly AddedToken[];
  readonly normalize: ((text: string) => string) | null;
  readonly preTokenizer: PreTokenizer;
  readonly bpe: Bpe;
  readonly spelling: Spelling;
  readonly stripsLeadingSpace: boolean;
  /** What special tokens go before and after a text. */
  readonly prefixIds: readonly number[];
  readonly suffixIds: readonly number[];
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
}

/** UTF-16 units: from twice as many on, patterns overflow the stack of V8's regular expressions. */
const MAX_TEXT_LENGTH = 1 << 24;

const ENCODER = new TextEncoder();
const NO_BYTES = new Uint8Array(0);

/**
 * Encodes like the Rust `tokenizers` package: added tokens in the text as given, normalisation,
 * added tokens in the normalised text, pre-tokenizer, BPE, special tokens around it all.
 */
export class BpeTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  readonly stripsLeadingSpace: boolean;
  readonly #parts: BpeTokenizerParts;
  readonly #added: ReadonlyMap<number, AddedToken>;
  readonly #splitGiven: AddedTokenSplitter;
  readonly #splitNormalized: AddedTokenSplitter;
  readonly #bytes: Uint8Array[] = [];

  constructor(parts: BpeTokenizerParts) {
    const { addedTokens, normalize } = parts;
    this.#parts = parts;
    this.vocabSize = parts.tokens.length;
    this.bosTokenId = parts.bosTokenId;
    this.eosTokenIds = parts.eosTokenIds;
    this.stripsLeadingSpace = parts.stripsLeadingSpace;
    this.#added = new Map(addedTokens.map((token) => [token.id, token]));
    this.#splitGiven = new AddedTokenSplitter(addedTokens.filter((token) => !token.isNormalized));
    this.#splitNormalized = new AddedTokenSplitter(
      addedTokens.filter((token) => token.isNormalized)
        .map((token) => ({ ...token, content: normalize?.(token.content) ?? token.content })),
    );
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const { addSpecialTokens = true } = options;
    if (text.length > MAX_TEXT_LENGTH) {
      throw new TokenizerError(
        `Text of ${text.length} characters is too long: send at most ${MAX_TEXT_LENGTH}`,
      );
    }
    const { prefixIds, suffixIds } = this.#parts;
    const ids = addSpecialTokens ? [...prefixIds] : [];
    for (const section of this.#splitGiven.split(text.toWellFormed())) {
      if (typeof section === "number") ids.push(section);
      else this.#encodeSection(section.text, section.start === 0, ids);
    }
    if (addSpecialTokens) ids.push(...suffixIds);
    return ids;
  }

  tokenBytes(tokenId: number): Uint8Array {
    return this.#bytes[tokenId] ??= this.#readBytes(tokenId);
  }

  isSpecial(tokenId: number): boolean {
    return this.#added.get(tokenId)?.isSpecial ?? false;
  }

  idToToken(tokenId: number): string | null {
    return this.#parts.tokens[tokenId] ?? null;
  }

  tokenToId(token: string): number | null {
    return this.#parts.ids.get(token) ?? null;
  }

  #encodeSection(given: string, isFirst: boolean, ids: number[]): void {
    const { normalize, preTokenizer, bpe } = this.#parts;
    const normalized = normalize === null ? given : normalize(given);
    for (const section of this.#splitNormalized.split(normalized)) {
      if (typeof section === "number") {
        ids.push(section);
        continue;
      }
      const pieces = preTokenizer.split(section.text, isFirst && section.start === 0);
      for (const piece of pieces) bpe.encode(piece, ids);
    }
  }

  #readBytes(tokenId: number): Uint8Array {
    const { tokens, spelling } = this.#parts;
    const token = tokens[tokenId];
    if (token === undefined || this.isSpecial(tokenId)) return NO_BYTES;
    if (spelling === "byteLevel") {
      // An added token is spelled as it is meant, even where it looks like the byte alphabet.
      const bytes = this.#added.has(tokenId) ? null : fromByteCharacters(token);
      return bytes ?? ENCODER.encode(token);
    }
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
    return ENCODER.encode(token.replaceAll("▁", " "));
  }
}
