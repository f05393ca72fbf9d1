/**
 * The fields of a request that are acted on. Null means absent everywhere, as OpenAI has it, and
 * unknown fields are dropped. `messages` and `prompt` may be huge and have parsers of their own
 * that stop at the first mistake.
 *
 * @module
 */
import { z } from "zod";
import { HttpError } from "./errors.ts";

const MAX_STOPS = 64;
const MAX_CHOICES = 128;
const MAX_SALT_LENGTH = 256;
/** Timers of every runtime reach so far. */
const MAX_TIMEOUT_S = 2_000_000;

/** A count that JSON may write as 1.0. */
const wholeNumber = z.number().refine(Number.isInteger, "Expected a whole number");

const stop = z.union([
  z.string(),
  z.array(z.unknown()).max(MAX_STOPS).pipe(z.array(z.string())),
], { error: `Expected a string or an array of at most ${MAX_STOPS} strings` });

const requestId = z.string().regex(
  /^[\x21-\x7e]{1,128}$/,
  "Expected 1 to 128 printable ASCII characters without spaces",
);

const samplingFields = {
  temperature: z.number().min(0).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: wholeNumber.min(-1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  seed: wholeNumber.nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  repetition_penalty: z.number().gt(0).nullish(),
  repeat_penalty: z.number().gt(0).nullish(),
  stop: stop.nullish(),
  stop_token_ids: z.array(z.unknown()).max(MAX_STOPS).pipe(z.array(wholeNumber.min(0))).nullish(),
  ignore_eos: z.boolean().nullish(),
  include_stop_str_in_output: z.boolean().nullish(),
  skip_special_tokens: z.boolean().nullish(),
};

/** vLLM's numbers and ours; OpenAI's service tiers. */
const termsFields = {
  priority: z.union([z.enum(["interactive", "batch"]), wholeNumber], {
    error: 'Expected "interactive", "batch" or a whole number',
  }).nullish(),
  service_tier: z.enum(["auto", "default", "flex", "priority", "scale"]).nullish(),
  cache_salt: z.string().min(1).max(MAX_SALT_LENGTH).nullish(),
  /** Seconds. */
  timeout: z.number().gt(0).max(MAX_TIMEOUT_S).nullish(),
};

const commonFields = {
  ...samplingFields,
  ...termsFields,
  model: z.string().nullish(),
  n: wholeNumber.min(1).max(MAX_CHOICES).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  request_id: requestId.nullish(),
};

const samplingRequest = z.object(samplingFields);
const termsRequest = z.object(termsFields);
const chatRequest = z.object({
  ...commonFields,
  max_tokens: wholeNumber.min(1).nullish(),
  max_completion_tokens: wholeNumber.min(1).nullish(),
  messages: z.unknown().optional(),
  tools: z.array(z.unknown()).max(1024).pipe(z.array(z.looseObject({ type: z.string() })))
    .nullish(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
  add_generation_prompt: z.boolean().nullish(),
});
const completionRequest = z.object({
  ...commonFields,
  // Zero with `echo` gives the prompt back, which evaluation harnesses do.
  max_tokens: wholeNumber.min(0).nullish(),
  prompt: z.unknown().optional(),
  echo: z.boolean().nullish(),
});
const stopRequest = z.object({ request_id: z.string() });

export type SamplingRequest = z.infer<typeof samplingRequest>;
export type TermsRequest = z.infer<typeof termsRequest>;
export type ChatRequest = z.infer<typeof chatRequest>;
export type CompletionRequest = z.infer<typeof completionRequest>;
export type StopRequest = z.infer<typeof stopRequest>;

export function parseChatRequest(body: unknown): ChatRequest {
  return parse(chatRequest, body);
}

export function parseCompletionRequest(body: unknown): CompletionRequest {
  return parse(completionRequest, body);
}

export function parseStopRequest(body: unknown): StopRequest {
  return parse(stopRequest, body);
}

/** Whether a client's `X-Request-Id` can serve as the id of a completion. */
export function isRequestId(text: string): boolean {
  return requestId.safeParse(text).success;
}

/** `messages[0].content` for `["messages", 0, "content"]`. */
export function paramPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    return text === "" ? String(key) : `${text}.${String(key)}`;
  }, "");
}

function parse<Schema extends z.ZodType>(schema: Schema, body: unknown): z.infer<Schema> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const param = paramPath(issue?.path ?? []);
  throw new HttpError(400, `Invalid '${param}': ${issue?.message ?? "Invalid input"}`, {
    param,
    code: issue?.code === "invalid_type" ? "invalid_type" : "invalid_value",
  });
}
