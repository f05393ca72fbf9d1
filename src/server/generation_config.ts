import { z } from "zod";
import type { SamplingDefaults } from "./options.ts";

const optional = <Value extends z.ZodType>(value: Value) => value.optional().catch(undefined);

const tokenId = z.int().min(0);

const generationConfig = z.object({
  temperature: optional(z.number().min(0)),
  top_p: optional(z.number().gt(0).max(1)),
  top_k: optional(z.int().min(0)),
  min_p: optional(z.number().min(0).max(1)),
  repetition_penalty: optional(z.number().gt(0)),
  max_new_tokens: optional(z.int().min(1)),
  eos_token_id: optional(z.union([tokenId.transform((id) => [id]), z.array(tokenId)])),
});

/** What a model's `generation_config.json` recommends; values out of range are passed over. */
export interface GenerationConfig {
  readonly defaults: SamplingDefaults;
  readonly eosTokenIds: readonly number[];
}

/** Reads a parsed `generation_config.json`; anything else gives no recommendations. */
export function readGenerationConfig(json: unknown): GenerationConfig {
  const config = generationConfig.safeParse(json).data ?? {};
  const defaults = {
    temperature: config.temperature,
    topP: config.top_p,
    topK: config.top_k,
    minP: config.min_p,
    repetitionPenalty: config.repetition_penalty,
    maxTokens: config.max_new_tokens,
  };
  const given = Object.entries(defaults).filter(([, value]) => value !== undefined);
  return { defaults: Object.fromEntries(given), eosTokenIds: config.eos_token_id ?? [] };
}
