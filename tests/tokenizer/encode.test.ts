import { expect, test } from "vitest";
import { decodeTokens } from "../../src/tokenizer/detokenizer.ts";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { nastyCorpus } from "./corpus.ts";
import { realTokenizers } from "./real_tokenizers.ts";
import { RustTokenizer } from "./rust_tokenizer.ts";

const CORPUS = nastyCorpus(8000);

/** Texts that get other ids than from the Rust package, with both. */
async function differences(ours: Tokenizer, rust: RustTokenizer) {
  const expected = await rust.encode(CORPUS);
  return CORPUS.map((text, i) => ({
    text: JSON.stringify(text),
    ours: ours.encode(text, { addSpecialTokens: false }).join(),
    rust: expected[i]!.join(),
  })).filter((row) => row.ours !== row.rust);
}

for (const { name, load, tokenizerJson } of realTokenizers()) {
  test(`encode() gives the ids of the Rust package on the nasty corpus: ${name}`, async () => {
    expect(await differences(load(), new RustTokenizer(tokenizerJson))).toEqual([]);
  });

  test(`decodeTokens() gives the text of the Rust package: ${name}`, async () => {
    const tokenizer = load();
    const rust = new RustTokenizer(tokenizerJson);
    const ids = CORPUS.map((text) => tokenizer.encode(text));
    // Cut rows in the middle as well: half characters must come out the same.
    const rows = [...ids, ...ids.map((row) => row.slice(1, -1))].filter((row) => row.length > 0);
    const expected = await rust.decode(rows);
    expect(rows.map((row) => decodeTokens(tokenizer, row))).toEqual(expected);
  });
}
