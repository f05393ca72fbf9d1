/**
 * The text side of a model: its tokenizer and chat template, from whatever files it has.
 *
 * @module
 */
import {
  type ChatTemplate,
  chatTemplateFromConfig,
  chatTemplateFromGguf,
} from "./tokenizer/chat_template.ts";
import { type Tokenizer, TokenizerError } from "./tokenizer/tokenizer.ts";
import { tokenizerFromGguf } from "./tokenizer/tokenizer_gguf.ts";
import { tokenizerFromJson } from "./tokenizer/tokenizer_json.ts";
import type { ModelSource } from "./weights/model_source.ts";

/** What turns text into token ids and back. */
export interface ModelText {
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ChatTemplate;
}

/**
 * Reads tokenizer.json and its neighbours, or GGUF metadata. `now` dates what templates print.
 * Throws a TokenizerError when the model has no tokenizer that can be read.
 */
export async function readModelText(source: ModelSource, now: () => Date): Promise<ModelText> {
  const tokenizerJson = await readJson(source, "tokenizer.json");
  if (tokenizerJson !== null) {
    const tokenizerConfig = await readJson(source, "tokenizer_config.json");
    const jinja = await source.readText("chat_template.jinja");
    return {
      tokenizer: tokenizerFromJson(tokenizerJson, tokenizerConfig),
      chatTemplate: chatTemplateFromConfig({ tokenizerConfig, jinja }, now),
    };
  }
  if (source.gguf !== null) {
    return {
      tokenizer: tokenizerFromGguf(source.gguf),
      chatTemplate: chatTemplateFromGguf(source.gguf, now),
    };
  }
  throw new TokenizerError(
    `Model "${source.name}" has no tokenizer.json: add the one it was trained with to its folder`,
  );
}

/** A JSON file of the model, or null when there is none. Throws a TokenizerError for bad JSON. */
export async function readJson(source: ModelSource, fileName: string): Promise<unknown> {
  const text = await source.readText(fileName);
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TokenizerError(`File "${fileName}" of "${source.name}" is no JSON: ${cause}`);
  }
}
