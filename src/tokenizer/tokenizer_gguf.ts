import type { AddedToken } from "./added_tokens.ts";
import { ByteAlphabet, byteFallbackIds, CharacterAlphabet } from "./alphabet.ts";
import { Bpe } from "./bpe.ts";
import { BpeTokenizer } from "./bpe_tokenizer.ts";
import { ggufPreTokenizer } from "./gguf_pre_tokenizers.ts";
import { mergesFromScores, readMerges } from "./merges.ts";
import { compileNormalizer } from "./normalizer.ts";
import { PreTokenizer } from "./pre_tokenizer.ts";
import { type Tokenizer, TokenizerError } from "./tokenizer.ts";

type Metadata = ReadonlyMap<string, unknown>;

/** Values of `tokenizer.ggml.token_type`. */
const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 };

/**
 * Control tokens that end a turn or a text, by their spelling: many files name only one of them as
 * EOS, and a chat with such a model would never end.
 */
const END_TOKENS = [
  "<|eot_id|>",
  "<|eom_id|>",
  "<|im_end|>",
  "<|end|>",
  "<|endoftext|>",
  "<|end_of_text|>",
  "<end_of_turn>",
  "<EOT>",
];

/**
 * A tokenizer from a GGUF's metadata. Models "gpt2" (byte-level BPE) and "llama" (SentencePiece
 * BPE) are supported; throws a TokenizerError for others and for damaged metadata.
 */
export function tokenizerFromGguf(metadata: Metadata): Tokenizer {
  const vocabulary = readVocabulary(metadata);
  const model = metadata.get("tokenizer.ggml.model");
  switch (model) {
    case "gpt2":
      return byteLevelTokenizer(metadata, vocabulary);
    case "llama":
      return sentencePieceTokenizer(metadata, vocabulary);
    default:
      throw new TokenizerError(
        `GGUF tokenizer model "${model}" is not supported: use a model with "gpt2" or "llama"`,
      );
  }
}

interface GgufVocabulary {
  readonly tokens: readonly string[];
  readonly types: readonly number[];
  readonly ids: ReadonlyMap<string, number>;
}

function byteLevelTokenizer(metadata: Metadata, vocabulary: GgufVocabulary): Tokenizer {
  const { tokens, ids, types } = vocabulary;
  const pre = metadata.get("tokenizer.ggml.pre") ?? "default";
  const { preTokenizer, normalizer, ignoresMerges, addsBos } = ggufPreTokenizer(String(pre));
  const merges = readMerges(list(metadata, "merges"), vocabulary);
  const wholePieces = ignoresMerges ? new Map(ids) : null;
  for (let id = 0; id < tokens.length; id++) {
    if (isAdded(types[id]!)) wholePieces?.delete(tokens[id]!);
  }
  return new BpeTokenizer({
    tokens,
    ids,
    addedTokens: addedTokens(vocabulary),
    normalize: compileNormalizer(normalizer),
    preTokenizer: new PreTokenizer(preTokenizer),
    bpe: new Bpe({ alphabet: new ByteAlphabet(ids, null), merges, wholePieces }),
    spelling: "byteLevel",
    stripsLeadingSpace: false,
    ...specialTokens(metadata, vocabulary, addsBos),
  });
}

function sentencePieceTokenizer(metadata: Metadata, vocabulary: GgufVocabulary): Tokenizer {
  const { tokens, types, ids } = vocabulary;
  const scores = list(metadata, "scores").map(Number);
  if (scores.length !== tokens.length || scores.some(Number.isNaN)) {
    throw new TokenizerError(
      `GGUF is damaged: ${tokens.length} tokens have ${scores.length} scores or some are no numbers`,
    );
  }
  const isPiece = (id: number) =>
    types[id] === TOKEN_TYPE.normal || types[id] === TOKEN_TYPE.userDefined;
  const pieces = new Map([...ids].filter(([, id]) => isPiece(id)));
  const { table, symbols, loneCharacters } = mergesFromScores(pieces, scores, tokens.length);
  const unknownId = tokenId(metadata, "unknown", tokens.length) ??
    nonNegative(types.indexOf(TOKEN_TYPE.unknown));
  const byteIds = byteFallbackIds(ids);
  const fallback = { byteIds, unknownId, fusesUnknown: true };
  // A character that only occurs inside pieces is written like any other unknown one.
  const plain = new CharacterAlphabet(new Map(), fallback);
  const spellings = new Map<number, number[]>();
  for (const [symbol, character] of loneCharacters) {
    const written = new Int32Array(character.length * 3);
    spellings.set(symbol, [...written.subarray(0, plain.write(character, written))]);
  }
  const prefixesSpace = metadata.get("tokenizer.ggml.add_space_prefix") !== false;
  return new BpeTokenizer({
    tokens,
    ids,
    addedTokens: addedTokens(vocabulary),
    normalize: (text) => ((prefixesSpace ? " " : "") + text).replaceAll(" ", "▁"),
    preTokenizer: new PreTokenizer(null),
    bpe: new Bpe({
      alphabet: new CharacterAlphabet(symbols, fallback),
      merges: table,
      wholePieces: null,
      spellings,
    }),
    spelling: "sentencePiece",
    stripsLeadingSpace: prefixesSpace,
    ...specialTokens(metadata, vocabulary, true),
  });
}

function readVocabulary(metadata: Metadata): GgufVocabulary {
  const tokens = list(metadata, "tokens").map((token) => {
    if (typeof token === "string") return token;
    throw new TokenizerError(`GGUF is damaged: token "${token}" is not a string`);
  });
  if (tokens.length === 0) {
    throw new TokenizerError(
      'GGUF has no tokenizer: "tokenizer.ggml.tokens" is missing or empty, use another file',
    );
  }
  const types = list(metadata, "token_type").map(Number);
  if (types.length !== 0 && types.length !== tokens.length) {
    throw new TokenizerError(
      `GGUF is damaged: ${tokens.length} tokens have ${types.length} token types`,
    );
  }
  // The first of equal tokens counts: padding at the end repeats itself.
  const ids = new Map<string, number>();
  for (let id = 0; id < tokens.length; id++) {
    if (!ids.has(tokens[id]!)) ids.set(tokens[id]!, id);
  }
  return { tokens, ids, types: types.length === 0 ? tokens.map(() => TOKEN_TYPE.normal) : types };
}

function addedTokens({ tokens, types }: GgufVocabulary): AddedToken[] {
  const added: AddedToken[] = [];
  for (let id = 0; id < tokens.length; id++) {
    if (!isAdded(types[id]!)) continue;
    added.push({
      id,
      content: tokens[id]!,
      isSpecial: types[id] !== TOKEN_TYPE.userDefined,
      isNormalized: false,
      isSingleWord: false,
      stripsLeft: false,
      stripsRight: false,
    });
  }
  return added;
}

function isAdded(type: number): boolean {
  return type === TOKEN_TYPE.control || type === TOKEN_TYPE.unknown ||
    type === TOKEN_TYPE.userDefined;
}

function specialTokens(metadata: Metadata, vocabulary: GgufVocabulary, addsBos: boolean) {
  const { tokens, types, ids } = vocabulary;
  const bosTokenId = tokenId(metadata, "bos", tokens.length);
  const eosTokenId = tokenId(metadata, "eos", tokens.length);
  const ends = END_TOKENS.map((token) => ids.get(token) ?? null)
    .filter((id) => id !== null && types[id] === TOKEN_TYPE.control);
  const named = ["eot", "eom"].map((name) => tokenId(metadata, name, tokens.length));
  const hasBos = metadata.get("tokenizer.ggml.add_bos_token") ?? addsBos;
  const hasEos = metadata.get("tokenizer.ggml.add_eos_token") ?? false;
  return {
    bosTokenId,
    eosTokenIds: [...new Set([eosTokenId, ...named, ...ends])].filter((id) => id !== null),
    prefixIds: hasBos === true && bosTokenId !== null ? [bosTokenId] : [],
    suffixIds: hasEos === true && eosTokenId !== null ? [eosTokenId] : [],
  };
}

/** An id named in the metadata; null when absent or outside the vocabulary. */
function tokenId(metadata: Metadata, name: string, numTokens: number): number | null {
  const value = metadata.get(`tokenizer.ggml.${name}_token_id`);
  if (value === undefined) return null;
  const id = Number(value);
  return Number.isInteger(id) && id >= 0 && id < numTokens ? id : null;
}

/** An array of the metadata, whatever kind of array the reader made of it. */
function list(metadata: Metadata, name: string): unknown[] {
  const value = metadata.get(`tokenizer.ggml.${name}`);
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  if (ArrayBuffer.isView(value) && Symbol.iterator in value) {
    return [...value as unknown as Iterable<unknown>];
  }
  throw new TokenizerError(`GGUF is damaged: "tokenizer.ggml.${name}" is not an array`);
}

function nonNegative(index: number): number | null {
  return index < 0 ? null : index;
}
