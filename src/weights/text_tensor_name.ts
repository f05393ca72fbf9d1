/** What multimodal models put before the names of their language model's tensors. */
const PREFIXES = ["language_model.model.", "model.language_model."] as const;
const HEAD_PREFIX = "language_model.lm_head.";

/** The name of a tensor in the language model alone; other parts of a model keep theirs. */
export function textTensorName(name: string): string {
  const prefix = PREFIXES.find((start) => name.startsWith(start));
  if (prefix !== undefined) return `model.${name.slice(prefix.length)}`;
  return name.startsWith(HEAD_PREFIX) ? name.slice("language_model.".length) : name;
}
