import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { decodeTokens } from "../../src/tokenizer/detokenizer.ts";
import { tokenizerFromGguf } from "../../src/tokenizer/tokenizer_gguf.ts";
import { tokenizerFromJson } from "../../src/tokenizer/tokenizer_json.ts";
import { nastyCorpus } from "./corpus.ts";
import { RustTokenizer } from "./rust_tokenizer.ts";

interface Trained {
  readonly metadata: Record<string, unknown>;
  readonly cases: { text: string; ids: number[]; decoded: string }[];
}

const FIXTURE: Record<string, Trained> = JSON.parse(
  readFileSync(new URL("../fixtures/tokenizer/sentencepiece.json", import.meta.url), "utf8"),
);

function trained(name: string): Trained {
  return FIXTURE[name]!;
}

for (const name of ["llama", "plain"]) {
  test(`tokenizerFromGguf() gives the ids of Google's sentencepiece from scores: ${name}`, () => {
    const { metadata, cases } = trained(name);
    const tokenizer = tokenizerFromGguf(new Map(Object.entries(metadata)));
    const wrong = cases.map(({ text, ids }) => ({
      text,
      ours: tokenizer.encode(text, { addSpecialTokens: false }).join(),
      theirs: ids.join(),
    })).filter(({ ours, theirs }) => ours !== theirs);
    expect(cases.length).toBeGreaterThan(400);
    expect(wrong).toEqual([]);
  });
}

test("a text comes back from its SentencePiece ids", () => {
  const { metadata, cases } = trained("llama");
  const tokenizer = tokenizerFromGguf(new Map(Object.entries(metadata)));
  for (const { text, ids } of cases) {
    expect(decodeTokens(tokenizer, ids)).toBe(text.replaceAll("▁", " "));
  }
});

test("SentencePiece: BOS comes first unless the file or the caller says no", () => {
  const metadata = new Map(Object.entries(trained("llama").metadata));
  const bos = metadata.get("tokenizer.ggml.bos_token_id") as number;
  expect(tokenizerFromGguf(metadata).encode("the")[0]).toBe(bos);
  expect(tokenizerFromGguf(metadata).encode("the", { addSpecialTokens: false })[0]).not.toBe(bos);
  metadata.set("tokenizer.ggml.add_bos_token", false);
  expect(tokenizerFromGguf(metadata).encode("the")[0]).not.toBe(bos);
});

/** A tokenizer.json in the manner of Llama 2: merges over "▁" words, byte fallback. */
function llama2Json(changes: object = {}): string {
  const { tokens, types } = pieces();
  const isPiece = (token: string) => types[tokens.indexOf(token)] === 1;
  const merges = tokens.filter(isPiece).flatMap((token) => {
    const characters = [...token];
    return characters.slice(1).map((_, cut) => [
      characters.slice(0, cut + 1).join(""),
      characters.slice(cut + 1).join(""),
    ]).filter(([left, right]) => isPiece(left!) && isPiece(right!));
  });
  return JSON.stringify({
    version: "1.0",
    added_tokens: tokens.slice(0, 3).map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
      special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
    },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      type: "BPE",
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
    ...changes,
  });
}

function pieces() {
  const { metadata } = trained("llama");
  return {
    tokens: metadata["tokenizer.ggml.tokens"] as string[],
    types: metadata["tokenizer.ggml.token_type"] as number[],
  };
}

const METASPACE = {
  normalizer: null,
  pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false },
  decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false },
};

for (
  const [name, json] of [
    ["Prepend and Replace", llama2Json()],
    ["Metaspace, first only", llama2Json(METASPACE)],
    [
      "Metaspace, always, split",
      llama2Json({ normalizer: null, pre_tokenizer: { type: "Metaspace", replacement: "▁" } }),
    ],
  ] as const
) {
  test(`SentencePiece-style tokenizer.json gives the ids of the Rust package: ${name}`, async () => {
    const texts = nastyCorpus(2000, { seed: 7 });
    const tokenizer = tokenizerFromJson(JSON.parse(json), { bos_token: "<s>", eos_token: "</s>" });
    const expected = await new RustTokenizer(json).encode(texts, true);
    const wrong = texts.filter((text, i) => tokenizer.encode(text).join() !== expected[i]!.join());
    expect(wrong).toEqual([]);
    expect(tokenizer.stripsLeadingSpace).toBe(true);
    expect([tokenizer.bosTokenId, ...tokenizer.eosTokenIds]).toEqual([1, 2]);
  });
}

test("SentencePiece: a character that only occurs inside pieces still merges", () => {
  const metadata = new Map<string, unknown>([
    ["tokenizer.ggml.model", "llama"],
    ["tokenizer.ggml.tokens", ["<unk>", "a", "ab", "▁"]],
    ["tokenizer.ggml.scores", Float32Array.of(0, -2, -1, -3)],
    ["tokenizer.ggml.token_type", Int32Array.of(2, 1, 1, 1)],
    ["tokenizer.ggml.add_space_prefix", false],
  ]);
  const tokenizer = tokenizerFromGguf(metadata);
  expect(tokenizer.encode("abab")).toEqual([2, 2]);
  expect(tokenizer.encode("ba")).toEqual([0, 1]);
  expect(tokenizer.encode("a ab")).toEqual([1, 3, 2]);
});
