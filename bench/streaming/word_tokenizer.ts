import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";

const WORDS = ["the", "mesh", "of", "ordinary", "machines", "runs", "a", "model", "as", "one"];

/** Every token is a word and a space before it. */
export class WordTokenizer implements Tokenizer {
  readonly vocabSize = 1 << 20;
  readonly bosTokenId = null;
  readonly eosTokenIds = [];
  readonly stripsLeadingSpace = false;
  readonly #bytes = WORDS.map((word) => new TextEncoder().encode(` ${word}`));

  encode(text: string): number[] {
    return text.split(" ").map((_, index) => index);
  }

  tokenBytes(tokenId: number): Uint8Array {
    return this.#bytes[tokenId % WORDS.length]!;
  }

  isSpecial(): boolean {
    return false;
  }

  idToToken(tokenId: number): string | null {
    return WORDS[tokenId % WORDS.length] ?? null;
  }

  tokenToId(): null {
    return null;
  }
}
