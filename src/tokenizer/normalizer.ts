import { SequenceNormalizer } from "@huggingface/tokenizers";
import { asArray, asObject } from "./json_shape.ts";
import { normalizeNfc } from "./nfc.ts";
import { TokenizerError } from "./tokenizer.ts";

type Normalize = (text: string) => string;

/** Compiles the `normalizer` of a tokenizer.json; null leaves text as it is. */
export function compileNormalizer(config: unknown): Normalize | null {
  if (config === null || config === undefined) return null;
  const { type, ...fields } = asObject(config, "normalizer");
  if (type === "NFC") return normalizeNfc;
  // Letter by letter, as in Rust: JavaScript has another small sigma for the end of a word.
  if (type === "Lowercase") return (text) => text.replaceAll("Σ", "σ").toLowerCase();
  if (type === "Sequence") {
    const steps = asArray(fields.normalizers, "normalizers").map(compileNormalizer);
    return (text) => steps.reduce((changed, step) => step?.(changed) ?? changed, text);
  }
  try {
    const normalizer = new SequenceNormalizer({
      type: "Sequence",
      normalizers: [config as never],
    });
    return (text) => normalizer.normalize(text);
  } catch (error) {
    throw new TokenizerError(`Normalizer "${type}" cannot be used: ${(error as Error).message}`);
  }
}
