/**
 * Which of a repository's files make a model.
 *
 * @module
 */
import { INDEX_FILE, SINGLE_FILE } from "./safetensors_model.ts";

/** The files that hold the weights. */
export type WeightChoice =
  | { readonly type: "single" }
  | { readonly type: "sharded" }
  | { readonly type: "gguf"; readonly file: string };

/** Texts that go with safetensors, fetched when the repository has them. */
export const TEXT_FILES: readonly string[] = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
];

/** Small and good first; formats at the end are exact but large. */
const GGUF_PREFERENCE: readonly string[] = [
  "Q4_K_M",
  "Q4_K_S",
  "Q4_0",
  "Q4_1",
  "Q8_0",
  "Q6_K",
  "BF16",
  "F16",
  "F32",
];

/**
 * Safetensors where there is a config.json to go with them, otherwise the preferred GGUF; or the
 * GGUF `wanted`. Null when there is nothing to run.
 */
export function chooseWeights(
  fileNames: readonly string[],
  wanted: string | null,
): WeightChoice | null {
  if (wanted !== null) {
    return fileNames.includes(wanted) ? { type: "gguf", file: wanted } : null;
  }
  if (fileNames.includes("config.json")) {
    if (fileNames.includes(INDEX_FILE)) return { type: "sharded" };
    if (fileNames.includes(SINGLE_FILE)) return { type: "single" };
  }
  const files = fileNames.filter((name) => isWholeGguf(name));
  const ranked = files.map((file) => ({ file, rank: rankOf(file) }))
    .sort((a, b) => a.rank - b.rank || (a.file < b.file ? -1 : 1));
  const best = ranked[0];
  return best ? { type: "gguf", file: best.file } : null;
}

function isWholeGguf(fileName: string): boolean {
  // Parts of one file, and vision encoders that lie beside a language model.
  return /\.gguf$/i.test(fileName) && !/-\d{5}-of-\d{5}\.gguf$/i.test(fileName) &&
    !/mmproj/i.test(fileName);
}

function rankOf(file: string): number {
  const rank = GGUF_PREFERENCE.findIndex((type) =>
    new RegExp(`(^|[-._/])${type}\\.gguf$`, "i").test(file)
  );
  return rank === -1 ? GGUF_PREFERENCE.length : rank;
}
