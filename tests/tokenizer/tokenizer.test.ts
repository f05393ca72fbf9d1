import { expect, test } from "vitest";
import { TokenizerError } from "../../src/tokenizer/tokenizer.ts";
import { tokenizerFromGguf } from "../../src/tokenizer/tokenizer_gguf.ts";
import { tokenizerFromJson } from "../../src/tokenizer/tokenizer_json.ts";
import { nastyCorpus } from "./corpus.ts";
import { asGgufMetadata, hubFiles, smolLm2Json, smolLm2Metadata } from "./real_tokenizers.ts";
import { RustTokenizer } from "./rust_tokenizer.ts";

const BYTES = new TextDecoder("utf-8", { ignoreBOM: true });

for (const [name, pre] of [["qwen3", "qwen2"], ["llama3", "llama-bpe"]] as const) {
  test(`a GGUF gives the same ids as the hub files it was made from: ${name}`, () => {
    const files = hubFiles(name);
    const fromHub = tokenizerFromJson(files.json, files.config);
    const fromGguf = tokenizerFromGguf(asGgufMetadata(files, pre));
    for (const text of nastyCorpus(1500, { seed: 3 })) {
      expect(fromGguf.encode(text)).toEqual(fromHub.encode(text));
    }
    expect(fromGguf.vocabSize).toBe(fromHub.vocabSize);
    expect(fromGguf.eosTokenIds).toEqual(expect.arrayContaining([...fromHub.eosTokenIds]));
  });
}

test("SmolLM2's GGUF: special tokens, ends of turn, bytes of tokens", () => {
  const tokenizer = tokenizerFromGguf(smolLm2Metadata());
  expect(tokenizer.vocabSize).toBe(49152);
  expect(tokenizer.bosTokenId).toBe(1);
  expect(tokenizer.eosTokenIds).toEqual([2, 0]);
  expect(tokenizer.encode("<|im_start|>user\nHi")[0]).toBe(1);
  expect(tokenizer.isSpecial(1)).toBe(true);
  expect(tokenizer.tokenBytes(1)).toHaveLength(0);
  expect(tokenizer.idToToken(1)).toBe("<|im_start|>");
  expect(tokenizer.tokenToId("<|im_start|>")).toBe(1);
  const [paris] = tokenizer.encode(" Paris");
  expect(BYTES.decode(tokenizer.tokenBytes(paris!))).toBe(" Paris");
  expect(tokenizer.idToToken(49152)).toBeNull();
  expect(tokenizer.tokenBytes(49152)).toHaveLength(0);
});

test("tokenBytes() of all tokens of a text are the bytes of the text", () => {
  const { json, config } = hubFiles("llama3");
  const tokenizer = tokenizerFromJson(json, config);
  for (const text of nastyCorpus(500, { seed: 4 })) {
    const ids = tokenizer.encode(text).filter((id) => !tokenizer.isSpecial(id));
    const bytes = ids.flatMap((id) => [...tokenizer.tokenBytes(id)]);
    const plain = text.toWellFormed().replace(/<\|(begin_of_text|eot_id)\|>/g, "")
      .replace(/<\|(start|end)_header_id\|>/g, "");
    expect(BYTES.decode(Uint8Array.from(bytes))).toBe(plain);
  }
});

test("a token that is not special keeps its text: Qwen3's <think>", () => {
  const { json, config } = hubFiles("qwen3");
  const tokenizer = tokenizerFromJson(json, config);
  const [think] = tokenizer.encode("<think>");
  expect(tokenizer.isSpecial(think!)).toBe(false);
  expect(BYTES.decode(tokenizer.tokenBytes(think!))).toBe("<think>");
});

/** SmolLM2's tokenizer.json with other parts. */
function variant(changes: Record<string, unknown>): string {
  return JSON.stringify({ ...JSON.parse(smolLm2Json()), ...changes });
}

function added(content: string, id: number, flags: object) {
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return { id, content, special: false, ...plain, ...flags };
}

const split = (Regex: string, behavior: string, invert = false) => ({
  type: "Split",
  pattern: { Regex },
  behavior,
  invert,
});
const byteLevel = (flags: object) => ({
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: true,
  ...flags,
});

const VARIANTS: Record<string, Record<string, unknown>> = {
  "added tokens that strip, stand alone or are normalised": {
    normalizer: { type: "Lowercase" },
    added_tokens: [
      added("<|im_start|>", 1, { special: true, lstrip: true }),
      added("<|im_end|>", 2, { special: true, rstrip: true }),
      added("the", 278, { single_word: true }),
      added("quick ", 49152, { normalized: true }),
      added("QUICK", 49153, { normalized: true, single_word: true }),
      added("e\u0301", 49154, { lstrip: true, rstrip: true }),
    ],
  },
  "every behaviour of Split": {
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        split("[.,;]", "MergedWithPrevious"),
        split("[A-Z]", "MergedWithNext"),
        split("\\d", "Contiguous"),
        split("\\p{Han}+", "Isolated"),
        split("[#$%]", "Removed"),
        split("[^*]+", "Removed", true),
        byteLevel({ use_regex: false }),
      ],
    },
  },
  "prefix space, punctuation, digits in groups": {
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Punctuation", behavior: "Contiguous" },
        { type: "Digits", individual_digits: false },
        byteLevel({ add_prefix_space: true }),
      ],
    },
  },
  "byte level in the middle, as Falcon has it": {
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Punctuation", behavior: "Contiguous" },
        byteLevel({}),
        { type: "Digits", individual_digits: false },
        split("[0-9][0-9][0-9]", "Isolated"),
      ],
    },
  },
  "white space": {
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "WhitespaceSplit" },
        { type: "Whitespace" },
        byteLevel({ use_regex: false }),
      ],
    },
  },
  "tekken": {
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        split(
          "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+" +
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}" +
            "\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}|" +
            " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
          "Isolated",
        ),
        byteLevel({ use_regex: false }),
      ],
    },
  },
  "special tokens around a text": {
    post_processor: {
      type: "Sequence",
      processors: [
        byteLevel({}),
        {
          type: "TemplateProcessing",
          single: [
            { SpecialToken: { id: "<|im_start|>", type_id: 0 } },
            { Sequence: { id: "A", type_id: 0 } },
            { SpecialToken: { id: "<|im_end|>", type_id: 0 } },
          ],
          pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
          special_tokens: {
            "<|im_start|>": { id: "<|im_start|>", ids: [1], tokens: ["<|im_start|>"] },
            "<|im_end|>": { id: "<|im_end|>", ids: [2], tokens: ["<|im_end|>"] },
          },
        },
      ],
    },
  },
};

for (const [name, changes] of Object.entries(VARIANTS)) {
  test(`tokenizerFromJson() gives the ids of the Rust package: ${name}`, async () => {
    const json = variant(changes);
    // `Punctuation` and `Digits` use older Unicode tables there: no newer characters here.
    const texts = [
      ...nastyCorpus(1500, { seed: 5, maxCodePoint: 0x600 }),
      "The QUICK the quick  e\u0301  theé athe the",
      "*a**b*",
    ];
    const expected = await new RustTokenizer(json).encode(texts, true);
    const tokenizer = tokenizerFromJson(JSON.parse(json), null);
    const wrong = texts.map((text, i) => ({
      text: JSON.stringify(text),
      ours: tokenizer.encode(text).join(),
      rust: expected[i]!.join(),
    })).filter(({ ours, rust }) => ours !== rust);
    expect(wrong).toEqual([]);
  });
}

test("tokenizerFromJson() adds tokens that only the configuration knows", () => {
  const tokenizer = tokenizerFromJson(JSON.parse(smolLm2Json()), {
    added_tokens_decoder: { "49152": { content: "<extra>", special: true } },
    eos_token: { content: "<extra>" },
  });
  expect(tokenizer.encode("a<extra>").at(-1)).toBe(49152);
  expect(tokenizer.eosTokenIds).toEqual([49152]);
});

test("damaged and unsupported tokenizers are refused with the reason", () => {
  const json = JSON.parse(smolLm2Json());
  const refused = (changes: object) => () => tokenizerFromJson({ ...json, ...changes }, null);
  expect(() => tokenizerFromJson(null, null)).toThrow(TokenizerError);
  expect(refused({ model: { type: "Unigram", vocab: [] } })).toThrow(
    'Tokenizer model "Unigram" is not supported: use a model with a BPE tokenizer',
  );
  const model = { ...json.model, merges: ["a zzzzqq"] };
  expect(refused({ model })).toThrow('merge 0 of "a" and "zzzzqq" is not in the vocabulary');
  expect(refused({ model: { ...json.model, vocab: { a: 2 ** 40 } } })).toThrow("has the id");
  expect(refused({ pre_tokenizer: { type: "Magic" } })).toThrow('Pre-tokenizer "Magic"');
  expect(refused({ pre_tokenizer: split("(", "Isolated") })).toThrow("cannot be used");

  const gguf = (changes: Record<string, unknown>) => () =>
    tokenizerFromGguf(new Map([...smolLm2Metadata(), ...Object.entries(changes)]));
  expect(gguf({ "tokenizer.ggml.pre": "nonesuch" })).toThrow('GGUF pre-tokenizer "nonesuch"');
  expect(gguf({ "tokenizer.ggml.model": "bert" })).toThrow('GGUF tokenizer model "bert"');
  expect(gguf({ "tokenizer.ggml.token_type": [1] })).toThrow("49152 tokens have 1 token types");
  expect(gguf({ "tokenizer.ggml.tokens": [1] })).toThrow('token "1" is not a string');
  expect(gguf({ "tokenizer.ggml.tokens": [] })).toThrow("GGUF has no tokenizer");
  expect(gguf({ "tokenizer.ggml.model": "llama" })).toThrow("49152 tokens have 0 scores");
});

test("a text beyond any context is refused instead of overflowing a stack", () => {
  const tokenizer = tokenizerFromGguf(smolLm2Metadata());
  expect(() => tokenizer.encode("🙂".repeat(2 ** 24))).toThrow("33554432 characters is too long");
});
