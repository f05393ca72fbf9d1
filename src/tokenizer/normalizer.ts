import { SequenceNormalizer } from "@huggingface/tokenizers";
import { asObject } from "./json_shape.ts";
import { TokenizerError } from "./tokenizer.ts";

/** Compiles the `normalizer` of a tokenizer.json; null leaves text as it is. */
export function compileNormalizer(config: unknown): ((text: string) => string) | null {
  if (config === null || config === undefined) return null;
  try {
    const normalizer = new SequenceNormalizer({
      type: "Sequence",
      normalizers: [asObject(config, "normalizer") as never],
    });
    return (text) => normalizer.normalize(text);
  } catch (error) {
    throw new TokenizerError(`Normalizer cannot be used: ${(error as Error).message}`);
  }
}
