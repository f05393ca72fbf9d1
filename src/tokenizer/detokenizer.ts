import { StopMatcher } from "./stop_matcher.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** How generated tokens become text. */
export interface DetokenizerOptions {
  /** Strings that end the text; empty ones are ignored. */
  readonly stop?: readonly string[];
  /** Keeps the stop string at the end of the text instead of cutting before it. */
  readonly includeStop?: boolean;
  /** Leaves out tokens that are special; on unless told otherwise. */
  readonly skipSpecialTokens?: boolean;
  /**
   * The text goes on from a prompt, so its leading space is a space between words and stays, even
   * where SentencePiece's rule would strip it from a text of its own.
   */
  readonly continuesText?: boolean;
}

/**
 * Turns the tokens of one sequence into text while they come. What it has given out never changes:
 * bytes that may still become a character and text that may still become a stop string are held
 * back. All that is given out, together, is what decoding all tokens at once gives, invalid UTF-8
 * as U+FFFD; how the tokens were cut into pushes makes no difference.
 */
export class Detokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #skipsSpecial: boolean;
  readonly #encoder = new TextEncoder();
  /** U+FEFF at the start is text here, not a byte order mark. */
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #matcher: StopMatcher;
  #stripsSpace: boolean;
  #stop: string | null = null;
  #isDone = false;

  constructor(tokenizer: Tokenizer, options: DetokenizerOptions = {}) {
    const { stop = [], includeStop = false, skipSpecialTokens = true, continuesText = false } =
      options;
    this.#tokenizer = tokenizer;
    this.#skipsSpecial = skipSpecialTokens;
    this.#matcher = new StopMatcher(stop, includeStop);
    this.#stripsSpace = tokenizer.stripsLeadingSpace && !continuesText;
  }

  /** The stop string that ended the text, or null. */
  get stopString(): string | null {
    return this.#stop;
  }

  /** Takes the next tokens and returns the text that is now safe to show; nothing after a stop. */
  push(tokenIds: Iterable<number>): string {
    let shown = "";
    for (const tokenId of tokenIds) {
      if (this.#isDone) break;
      shown += this.#show(this.#decoder.decode(this.#bytes(tokenId), { stream: true }));
    }
    return shown;
  }

  /** Ends the text and returns what was held back. */
  flush(): string {
    if (this.#isDone) return "";
    const shown = this.#show(this.#decoder.decode());
    this.#isDone = true;
    return this.#stop === null ? shown + this.#matcher.flush() : shown;
  }

  #bytes(tokenId: number): Uint8Array {
    if (this.#tokenizer.isSpecial(tokenId) && !this.#skipsSpecial) {
      return this.#encoder.encode(this.#tokenizer.idToToken(tokenId) ?? "");
    }
    return this.#tokenizer.tokenBytes(tokenId);
  }

  #show(decoded: string): string {
    if (decoded === "") return "";
    let text = decoded;
    if (this.#stripsSpace) {
      this.#stripsSpace = false;
      if (text.startsWith(" ")) text = text.slice(1);
    }
    const match = this.#matcher.push(text);
    if (match.stop !== null) {
      this.#stop = match.stop;
      this.#isDone = true;
    }
    return match.text;
  }
}

/** The text of all of `tokenIds` at once. */
export function decodeTokens(
  tokenizer: Tokenizer,
  tokenIds: Iterable<number>,
  options: DetokenizerOptions = {},
): string {
  const detokenizer = new Detokenizer(tokenizer, options);
  return detokenizer.push(tokenIds) + detokenizer.flush();
}
