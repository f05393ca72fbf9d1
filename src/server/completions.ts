import { admit, type Service } from "./admission.ts";
import type { Format } from "./format.ts";
import { requireModel } from "./models.ts";
import { parsePrompts } from "./prompts.ts";
import { reply } from "./reply.ts";
import { parseCompletionRequest } from "./schema.ts";
import type { Sender } from "./sender.ts";
import { refuseUnsupportedCompletion } from "./unsupported.ts";

/** OpenAI's default for this endpoint; chat has none. */
const DEFAULT_MAX_TOKENS = 16;

/** `POST /v1/completions`. */
export function completions(
  body: Record<string, unknown>,
  sender: Sender,
  service: Service,
): Promise<Response> {
  const { options } = service;
  const request = parseCompletionRequest(body);
  requireModel(request.model, options.model);
  refuseUnsupportedCompletion(body);
  const prompts = parsePrompts(request.prompt, {
    tokenizer: options.tokenizer,
    vocabSize: options.model.vocabSize,
  });
  const completion = admit({
    request,
    prompts: prompts.map(({ tokenIds }) => tokenIds),
    maxTokens: request.max_tokens ?? options.defaults?.maxTokens ?? DEFAULT_MAX_TOKENS,
    promptParam: "prompt",
    continuesText: true,
    idPrefix: "cmpl-",
    sender,
  }, service);
  const numPerPrompt = request.n ?? 1;
  const echoes = request.echo
    ? prompts.flatMap(({ text }) => Array.from({ length: numPerPrompt }, () => text))
    : null;
  const isStream = request.stream ?? false;
  const includeUsage = request.stream_options?.include_usage ?? false;
  return reply(completion, {
    format: format(echoes),
    isStream,
    includeUsage,
    signal: sender.signal,
  }, service);
}

/** `echoes` has the text to put before each choice. */
function format(echoes: readonly string[] | null): Format {
  return {
    chunkObject: "text_completion",
    resultObject: "text_completion",
    first: (index) => echoes === null ? null : choice(index, echoes[index] ?? "", null),
    delta: (index, text) => choice(index, text, null),
    last: (index, finishReason) => choice(index, "", finishReason),
    choice: (index, text, finishReason) =>
      choice(index, (echoes?.[index] ?? "") + text, finishReason),
  };
}

function choice(index: number, text: string, finishReason: string | null) {
  return { index, text, logprobs: null, finish_reason: finishReason };
}
