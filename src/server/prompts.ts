import { decodeTokens } from "../tokenizer/detokenizer.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { HttpError } from "./errors.ts";

/** Most prompts in one request. */
const MAX_PROMPTS = 128;

/** One prompt of a text completion: tokens, and its text for `echo`. */
export interface Prompt {
  readonly tokenIds: readonly number[];
  readonly text: string;
}

/** Reads `prompt`: a string, strings, token ids, or arrays of token ids. */
export function parsePrompts(
  prompt: unknown,
  { tokenizer, vocabSize }: { tokenizer: Tokenizer; vocabSize: number },
): Prompt[] {
  const isSingle = typeof prompt === "string" ||
    (Array.isArray(prompt) && typeof prompt[0] === "number");
  const prompts: unknown = isSingle ? [prompt] : prompt;
  if (!Array.isArray(prompts) || prompts.length === 0) {
    throw invalid("prompt", "Expected a string, token ids, or an array of either");
  }
  if (prompts.length > MAX_PROMPTS) {
    throw invalid("prompt", `Expected at most ${MAX_PROMPTS} prompts`);
  }
  return prompts.map((item: unknown, index) => {
    const path = isSingle ? "prompt" : `prompt[${index}]`;
    const parsed = typeof item === "string"
      ? { text: item, tokenIds: tokenizer.encode(item, { addSpecialTokens: true }) }
      : fromTokenIds(item, path, vocabSize, tokenizer);
    if (parsed.tokenIds.length === 0) throw invalid(path, "Expected at least one token");
    return parsed;
  });
}

function fromTokenIds(
  item: unknown,
  path: string,
  vocabSize: number,
  tokenizer: Tokenizer,
): Prompt {
  if (!Array.isArray(item)) throw invalid(path, "Expected a string or token ids");
  const tokenIds = item.map((tokenId: unknown, index) => {
    const isValid = Number.isInteger(tokenId) && Number(tokenId) >= 0 &&
      Number(tokenId) < vocabSize;
    if (!isValid) throw invalid(`${path}[${index}]`, `Expected a token id below ${vocabSize}`);
    return Number(tokenId);
  });
  return { tokenIds, text: decodeTokens(tokenizer, tokenIds) };
}

function invalid(param: string, reason: string): HttpError {
  return new HttpError(400, `Invalid '${param}': ${reason}`, { param, code: "invalid_value" });
}
