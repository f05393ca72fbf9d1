import type { HfConfig, ModelConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { gemma3Text, readGemma3Config } from "./gemma3_text.ts";

/** The text part of Gemma 3 with images. */
export const gemma3: Architecture = { ...gemma3Text, modelType: "gemma3", readConfig };

/** What the file says of the whole model, whatever its text part has. */
const SHARED_FIELDS = ["bos_token_id", "eos_token_id", "tie_word_embeddings"];

function readConfig(hf: HfConfig): ModelConfig {
  const text = new ConfigReader(hf).object("text_config")?.fields ?? {};
  const shared = SHARED_FIELDS.filter((name) => Object.hasOwn(hf, name));
  const fields = { ...text, ...Object.fromEntries(shared.map((name) => [name, hf[name]])) };
  return { ...readGemma3Config(fields), modelType: "gemma3" };
}
