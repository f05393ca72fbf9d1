/**
 * Fields that change the answer and that this server does not act on yet. Taking them in silence
 * would be a wrong answer, so all but their harmless values are refused by name.
 *
 * @module
 */
import { HttpError } from "./errors.ts";

/** A field and whether a value of it asks for nothing. Null always does. */
type Rule = readonly [param: string, isHarmless: (value: unknown) => boolean];

const never = () => false;
const isEmpty = (value: unknown) =>
  typeof value === "object" && value !== null && Object.keys(value).length === 0;
const isOneOf = (...values: unknown[]) => (value: unknown) => values.includes(value);

const RULES: readonly Rule[] = [
  ["response_format", (value) => (value as { type?: unknown }).type === "text"],
  ["logit_bias", isEmpty],
  ["structured_outputs", isEmpty],
  ["guided_json", never],
  ["guided_regex", never],
  ["guided_choice", never],
  ["guided_grammar", never],
  ["grammar", isOneOf("")],
  ["json_schema", isEmpty],
  ["bad_words", isEmpty],
  ["allowed_token_ids", never],
  ["min_tokens", isOneOf(0)],
  ["use_beam_search", isOneOf(false)],
  ["prompt_logprobs", isOneOf(false)],
];

const CHAT_RULES: readonly Rule[] = [
  ...RULES,
  ["logprobs", isOneOf(false)],
  ["top_logprobs", isOneOf(0)],
  ["tool_choice", isOneOf("auto", "none")],
  ["functions", isEmpty],
  ["function_call", isOneOf("auto", "none")],
  ["continue_final_message", isOneOf(false)],
  ["modalities", (value) => Array.isArray(value) && value.every((item) => item === "text")],
];

const COMPLETION_RULES: readonly Rule[] = [
  ...RULES,
  ["logprobs", isOneOf(false)],
  ["best_of", isOneOf(1)],
  ["suffix", isOneOf("")],
];

/** Throws for the first field of a chat request that is not supported. */
export function refuseUnsupportedChat(body: Record<string, unknown>): void {
  refuse(body, CHAT_RULES);
}

/** Throws for the first field of a text completion that is not supported. */
export function refuseUnsupportedCompletion(body: Record<string, unknown>): void {
  refuse(body, COMPLETION_RULES);
}

function refuse(body: Record<string, unknown>, rules: readonly Rule[]): void {
  for (const [param, isHarmless] of rules) {
    const value = body[param];
    if (value === undefined || value === null || isHarmless(value)) continue;
    throw new HttpError(400, `'${param}' is not supported yet: leave it out`, {
      param,
      code: "unsupported_parameter",
    });
  }
}
