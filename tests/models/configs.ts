import type { HfConfig, ModelConfig } from "../../src/core.ts";
import { architectureOf } from "../../src/models/registry.ts";

/** The fields that no class of transformers makes up for a real model. */
export const REQUIRED = {
  vocab_size: 320,
  hidden_size: 256,
  intermediate_size: 512,
  num_hidden_layers: 3,
  num_attention_heads: 32,
};

/** Reads a config.json of `modelType` with the required fields and `extra`. */
export function read(modelType: string, extra: HfConfig = {}): ModelConfig {
  const hf = { model_type: modelType, ...REQUIRED, ...extra };
  return architectureOf(hf).readConfig(hf);
}
