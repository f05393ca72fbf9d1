import type { AddedToken } from "./added_tokens.ts";
import {
  type Alphabet,
  ByteAlphabet,
  byteFallbackIds,
  CharacterAlphabet,
  characterSymbols,
} from "./alphabet.ts";
import { Bpe } from "./bpe.ts";
import { BpeTokenizer } from "./bpe_tokenizer.ts";
import { asArray, asObject, isObject, type JsonObject } from "./json_shape.ts";
import { readMerges } from "./merges.ts";
import { compileNormalizer } from "./normalizer.ts";
import { readPostProcessor } from "./post_processor.ts";
import { PreTokenizer } from "./pre_tokenizer.ts";
import { type Tokenizer, TokenizerError } from "./tokenizer.ts";

/** No vocabulary comes near it; bounds what a damaged file can make us allocate. */
const MAX_ID = 1 << 22;

/**
 * A tokenizer from the parsed contents of a Hugging Face `tokenizer.json` and, beside it,
 * `tokenizer_config.json` (null when there is none), which names BOS and EOS.
 * Throws a TokenizerError for a damaged file and for models other than BPE.
 */
export function tokenizerFromJson(tokenizerJson: unknown, tokenizerConfig: unknown): Tokenizer {
  const json = asObject(tokenizerJson, "tokenizer.json");
  const config = isObject(tokenizerConfig) ? tokenizerConfig : {};
  const model = asObject(json.model, "model");
  checkModel(model);
  const { tokens, ids } = readVocabulary(asObject(model.vocab, "model.vocab"));
  const merges = readMerges(asArray(model.merges, "model.merges"), { tokens, ids });
  const wholePieces = model.ignore_merges === true ? new Map(ids) : null;
  const preTokenizer = new PreTokenizer(json.pre_tokenizer);
  const alphabet = readAlphabet(model, ids, preTokenizer);
  const addedTokens = readAddedTokens(json, config, ids);
  for (const { id, content } of addedTokens) {
    place(tokens, id, content);
    ids.set(content, id);
  }
  const bosTokenId = tokenId(config.bos_token, ids);
  const eosTokenId = tokenId(config.eos_token, ids);
  return new BpeTokenizer({
    tokens,
    ids,
    addedTokens,
    normalize: compileNormalizer(json.normalizer),
    preTokenizer,
    bpe: new Bpe({ alphabet, merges, wholePieces }),
    ...readDecoder(json.decoder, preTokenizer),
    ...readPostProcessor(json.post_processor),
    bosTokenId,
    eosTokenIds: eosTokenId === null ? [] : [eosTokenId],
  });
}

function checkModel(model: JsonObject): void {
  // Files of early versions leave the type out, where only BPE has merges.
  const type = model.type ?? (model.merges === undefined ? "unknown" : "BPE");
  if (type !== "BPE") {
    throw new TokenizerError(
      `Tokenizer model "${type}" is not supported: use a model with a BPE tokenizer`,
    );
  }
  if (model.continuing_subword_prefix || model.end_of_word_suffix) {
    throw new TokenizerError(
      "Tokenizer with marks inside words is not supported: use a byte-level or SentencePiece one",
    );
  }
}

function readVocabulary(vocab: JsonObject) {
  const tokens: (string | undefined)[] = [];
  const ids = new Map<string, number>();
  for (const token in vocab) {
    const id = vocab[token];
    checkId(id, token);
    ids.set(token, id);
  }
  for (const [token, id] of ids) place(tokens, id, token);
  return { tokens, ids };
}

/** Ids come in any order; a sparse array would be slow for ever. */
function place(tokens: (string | undefined)[], id: number, token: string): void {
  while (tokens.length <= id) tokens.push(undefined);
  tokens[id] = token;
}

function checkId(id: unknown, token: string): asserts id is number {
  if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id < MAX_ID) return;
  throw new TokenizerError(`Tokenizer file is damaged: token "${token}" has the id "${id}"`);
}

function readAlphabet(
  model: JsonObject,
  ids: ReadonlyMap<string, number>,
  preTokenizer: PreTokenizer,
): Alphabet {
  const unknownId = tokenId(model.unk_token, ids);
  if (preTokenizer.isByteLevel) return new ByteAlphabet(ids, unknownId);
  return new CharacterAlphabet(characterSymbols(ids), {
    byteIds: model.byte_fallback === true ? byteFallbackIds(ids) : null,
    unknownId,
    fusesUnknown: model.fuse_unk === true,
  });
}

/** Tokens of tokenizer.json, then what only tokenizer_config.json knows, as transformers adds it. */
function readAddedTokens(
  json: JsonObject,
  config: JsonObject,
  ids: ReadonlyMap<string, number>,
): AddedToken[] {
  const added = new Map<string, AddedToken>();
  function add(value: unknown, fallbackId: number): void {
    const token = asObject(value, "an added token");
    const content = String(token.content);
    if (added.has(content)) return;
    const id = ids.get(content) ?? token.id ?? fallbackId;
    checkId(id, content);
    const isSpecial = token.special === true;
    added.set(content, {
      id,
      content,
      isSpecial,
      isNormalized: typeof token.normalized === "boolean" ? token.normalized : !isSpecial,
      isSingleWord: token.single_word === true,
      stripsLeft: token.lstrip === true,
      stripsRight: token.rstrip === true,
    });
  }
  for (const token of asArray(json.added_tokens, "added_tokens")) add(token, -1);
  const decoder = isObject(config.added_tokens_decoder) ? config.added_tokens_decoder : {};
  for (const id in decoder) add(decoder[id], Number(id));
  return [...added.values()];
}

function readDecoder(config: unknown, preTokenizer: PreTokenizer) {
  const steps = decoderSteps(config);
  const isByteLevel = steps.length === 0
    ? preTokenizer.isByteLevel
    : steps.some(({ type }) => type === "ByteLevel");
  const stripsLeadingSpace = steps.some((step) =>
    (step.type === "Strip" && step.content === " " && Number(step.start) > 0) ||
    (step.type === "Metaspace" && step.prepend_scheme !== "never" &&
      step.add_prefix_space !== false)
  );
  return {
    spelling: isByteLevel ? "byteLevel" : "sentencePiece",
    stripsLeadingSpace,
  } as const;
}

function decoderSteps(config: unknown): JsonObject[] {
  if (config === null || config === undefined) return [];
  const decoder = asObject(config, "decoder");
  if (decoder.type !== "Sequence") return [decoder];
  return asArray(decoder.decoders, "decoders").flatMap(decoderSteps);
}

/** A token named in a configuration: its text, or an object that holds it. */
function tokenId(token: unknown, ids: ReadonlyMap<string, number>): number | null {
  const content = isObject(token) ? token.content : token;
  return typeof content === "string" ? ids.get(content) ?? null : null;
}
