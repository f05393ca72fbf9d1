import { asArray, asObject, isObject } from "./json_shape.ts";
import { TokenizerError } from "./tokenizer.ts";

/** The special tokens that go around a text. */
export interface Surroundings {
  readonly prefixIds: readonly number[];
  readonly suffixIds: readonly number[];
}

const NOTHING: Surroundings = { prefixIds: [], suffixIds: [] };

/** Reads the `post_processor` of a tokenizer.json: what it adds around a single text. */
export function readPostProcessor(config: unknown): Surroundings {
  if (config === null || config === undefined) return NOTHING;
  const { type, ...fields } = asObject(config, "post_processor");
  switch (type) {
    case "ByteLevel": // Moves offsets only.
      return NOTHING;
    case "Sequence":
      return asArray(fields.processors, "processors").map(readPostProcessor).reduce(
        (inner, outer) => ({
          prefixIds: [...outer.prefixIds, ...inner.prefixIds],
          suffixIds: [...inner.suffixIds, ...outer.suffixIds],
        }),
        NOTHING,
      );
    case "TemplateProcessing":
      return readTemplate(asArray(fields.single, "single"), fields.special_tokens);
    case "BertProcessing":
    case "RobertaProcessing":
      return {
        prefixIds: [asId(asArray(fields.cls, "cls")[1])],
        suffixIds: [asId(asArray(fields.sep, "sep")[1])],
      };
    default:
      throw new TokenizerError(
        `Post-processor "${type}" is not supported: use a model with a BPE tokenizer`,
      );
  }
}

function readTemplate(single: readonly unknown[], specialTokens: unknown): Surroundings {
  const prefixIds: number[] = [];
  const suffixIds: number[] = [];
  let ids = prefixIds;
  for (const part of single) {
    const { SpecialToken: special } = asObject(part, "a part of post_processor.single");
    if (!isObject(special)) {
      ids = suffixIds;
      continue;
    }
    const known = asObject(specialTokens, "post_processor.special_tokens")[String(special.id)];
    ids.push(...asArray(asObject(known, `special token "${special.id}"`).ids, "ids").map(asId));
  }
  return { prefixIds, suffixIds };
}

function asId(value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw new TokenizerError(`Tokenizer file is damaged: "${value}" is not a token id`);
}
