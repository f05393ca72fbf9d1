import { TokenizerError } from "./tokenizer.ts";

/** A parsed JSON object whose fields are not known yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Takes `value` for an object or refuses it; `what` names it in the error. */
export function asObject(value: unknown, what: string): JsonObject {
  if (isObject(value)) return value;
  throw new TokenizerError(`Tokenizer file is damaged: ${what} is not an object`);
}

/** Takes `value` for an array, an absent one for an empty array, or refuses it. */
export function asArray(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw new TokenizerError(`Tokenizer file is damaged: ${what} is not an array`);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
