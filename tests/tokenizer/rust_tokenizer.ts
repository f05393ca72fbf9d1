import { createRequire } from "node:module";

interface RustEncoding {
  getIds(): number[];
}

interface RustNative {
  encodeBatch(texts: string[], pair: null, options: object): Promise<RustEncoding[]>;
  decodeBatch(ids: number[][], skipSpecialTokens: boolean): Promise<string[]>;
}

/** The official tokenizers package, written in Rust: what ids must be. */
export class RustTokenizer {
  readonly #native: RustNative;

  /** `tokenizerJson` is the text of a tokenizer.json. */
  constructor(tokenizerJson: string) {
    // A CommonJS package around a native add-on: `import` finds no named exports in it.
    const { Tokenizer } = createRequire(import.meta.url)("tokenizers");
    this.#native = Tokenizer.fromString(tokenizerJson);
  }

  async encode(texts: readonly string[], addSpecialTokens = false): Promise<number[][]> {
    const encodings = await this.#native.encodeBatch([...texts], null, { addSpecialTokens });
    return encodings.map((encoding) => encoding.getIds());
  }

  decode(ids: readonly (readonly number[])[], skipSpecialTokens = true): Promise<string[]> {
    return this.#native.decodeBatch(ids.map((row) => [...row]), skipSpecialTokens);
  }
}
