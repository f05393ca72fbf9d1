/**
 * What the rest of the project knows about a tokenizer: text to token ids, token ids to bytes.
 *
 * @module
 */

/** How `encode` treats the tokens that a model wants around a text. */
export interface EncodeOptions {
  /** Adds BOS (and EOS) as the model asks. Off for a rendered chat template, which has its own. */
  readonly addSpecialTokens?: boolean;
}

/** One model's tokenizer. Immutable for its callers and safe to share between sequences. */
export interface Tokenizer {
  /** Ids are `[0, vocabSize)`; some of them may be unused. */
  readonly vocabSize: number;
  readonly bosTokenId: number | null;
  /** Tokens that end a turn or a text, as far as the tokenizer's files say. */
  readonly eosTokenIds: readonly number[];
  /** SentencePiece rule: a decoded text loses the one space that encoding had put before it. */
  readonly stripsLeadingSpace: boolean;
  /**
   * Token ids of `text`. Special tokens written out in the text become their ids. Lone surrogates
   * count as U+FFFD. Adds special tokens unless told otherwise.
   */
  encode(text: string, options?: EncodeOptions): number[];
  /** The exact bytes a token stands for, not always whole characters; none for a special token. */
  tokenBytes(tokenId: number): Uint8Array;
  /** Control tokens, which have no text of their own. */
  isSpecial(tokenId: number): boolean;
  /** A token as the vocabulary spells it, or null for an unused id. */
  idToToken(tokenId: number): string | null;
  /** The id of a token in the vocabulary's spelling, or null. */
  tokenToId(token: string): number | null;
}

/** A tokenizer file that is damaged or needs what is not supported; the text says what to do. */
export class TokenizerError extends Error {
  readonly status = 400;
  override readonly name = "TokenizerError";
}
