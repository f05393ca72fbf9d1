import type { SamplingParams } from "../core.ts";
import type { DetokenizerOptions } from "../tokenizer/detokenizer.ts";
import type { SamplingDefaults, ServedModel } from "./options.ts";
import type { SamplingRequest } from "./schema.ts";

/** Below this a temperature divides logits out of range; it means greedy anyway. */
const MIN_TEMPERATURE = 1e-5;
/** A nucleus of nothing still keeps the most probable token. */
const MIN_TOP_P = 1e-6;

/** How to draw tokens: the request's fields, else the model's defaults, else OpenAI's. */
export function samplingParams(
  request: SamplingRequest,
  { maxTokens, seed, model, defaults = {} }: {
    readonly maxTokens: number;
    /** Used when the request gives none. */
    readonly seed: number;
    readonly model: ServedModel;
    readonly defaults?: SamplingDefaults | undefined;
  },
): SamplingParams {
  const temperature = request.temperature ?? defaults.temperature ?? 1;
  return {
    maxTokens,
    temperature: temperature < MIN_TEMPERATURE ? 0 : temperature,
    topP: Math.max(MIN_TOP_P, request.top_p ?? defaults.topP ?? 1),
    topK: Math.max(0, request.top_k ?? defaults.topK ?? 0),
    minP: request.min_p ?? defaults.minP ?? 0,
    // Modulo 2^32, also for negative seeds and those beyond 2^53.
    seed: (request.seed ?? seed) >>> 0,
    presencePenalty: request.presence_penalty ?? 0,
    frequencyPenalty: request.frequency_penalty ?? 0,
    repetitionPenalty: request.repetition_penalty ?? request.repeat_penalty ??
      defaults.repetitionPenalty ?? 1,
    stopTokenIds: [
      ...new Set([
        ...(request.ignore_eos ? [] : model.eosTokenIds),
        ...(request.stop_token_ids ?? []),
      ]),
    ],
  };
}

/** How generated tokens become text: what ends it and what of it is shown. */
export function textOptions(
  request: SamplingRequest,
  { continuesText }: { continuesText: boolean },
): DetokenizerOptions {
  return {
    stop: typeof request.stop === "string" ? [request.stop] : request.stop ?? [],
    includeStop: request.include_stop_str_in_output ?? false,
    skipSpecialTokens: request.skip_special_tokens ?? true,
    continuesText,
  };
}
