import type { Choice } from "./choice.ts";
import { Completion } from "./completion.ts";
import { HttpError } from "./errors.ts";
import type { ServerOptions } from "./options.ts";
import type { Queue } from "./queue.ts";
import type { RunningCompletions } from "./running.ts";
import { samplingParams, textOptions } from "./sampling.ts";
import type { SamplingRequest, TermsRequest } from "./schema.ts";
import type { Sender } from "./sender.ts";
import { termsOf } from "./terms.ts";

/** Sequences of one request: prompts times `n`. */
const MAX_CHOICES = 128;

/** What a server is made of, as its endpoints see it. */
export interface Service {
  readonly options: ServerOptions;
  readonly running: RunningCompletions;
  readonly queue: Queue;
}

/** What an endpoint made of a request. */
export interface Wanted {
  readonly request: SamplingRequest & TermsRequest & {
    readonly n?: number | null | undefined;
    readonly request_id?: string | null | undefined;
  };
  readonly prompts: readonly (readonly number[])[];
  /** Tokens to generate; null means as many as fit. */
  readonly maxTokens: number | null;
  /** Request field that holds the prompt, for errors. */
  readonly promptParam: string;
  /** The answer is more of the prompt's text, not a text of its own. */
  readonly continuesText: boolean;
  readonly idPrefix: string;
  readonly sender: Sender;
}

/** Throws 503 while the model is not ready. */
export function requireReady({ isReady, whatIsMissing }: ServerOptions): void {
  if (isReady?.() ?? true) return;
  const missing = whatIsMissing?.() ?? null;
  const because = missing === null ? "" : ` (${missing})`;
  throw new HttpError(503, `The model is not loaded yet${because}: try again in a moment`, {
    code: "not_ready",
    headers: { "retry-after": "2" },
  });
}

/** Queues what a valid request wants, all of it or nothing; throws what the client should know. */
export function admit(wanted: Wanted, { options, running, queue }: Service): Completion {
  const { request, prompts, sender } = wanted;
  const numChoices = prompts.length * (request.n ?? 1);
  requireFewChoices(numChoices);
  const terms = termsOf(request, sender, options);
  queue.requireRoom(sender.client, numChoices);
  const choices = prompts.flatMap((_, promptIndex) => choicesOf(promptIndex, wanted, options));
  const { engine, tokenizer, clock } = options;
  const completion = new Completion({
    id: request.request_id ?? sender.headerId ?? newId(wanted.idPrefix, options),
    created: nowSeconds(options),
    numPromptTokens: prompts.reduce((sum, prompt) => sum + prompt.length, 0),
    choices,
  }, { engine, tokenizer, clock, terms });
  running.add(completion);
  completion.start(() => queue.join(sender.client));
  return completion;
}

/** An id such as `chatcmpl-5f3a...`, of 96 random bits. */
export function newId(prefix: string, { rng }: ServerOptions): string {
  const words = [rng.uint32(), rng.uint32(), rng.uint32()];
  return prefix + words.map((word) => word.toString(16).padStart(8, "0")).join("");
}

/** Seconds since 1970. */
export function nowSeconds({ dateMs }: ServerOptions): number {
  return Math.floor((dateMs?.() ?? Date.now()) / 1000);
}

function requireFewChoices(numChoices: number): void {
  if (numChoices <= MAX_CHOICES) return;
  throw new HttpError(
    400,
    `Prompts times 'n' is ${numChoices}, and at most ${MAX_CHOICES} is allowed`,
    { param: "n", code: "invalid_value" },
  );
}

function choicesOf(promptIndex: number, wanted: Wanted, options: ServerOptions): Choice[] {
  const { engine, model, rng } = options;
  const prompt = wanted.prompts[promptIndex] ?? [];
  const maxLength = engine.maxModelLength;
  const numFree = maxLength - prompt.length;
  if (numFree < (wanted.maxTokens === 0 ? 0 : 1)) {
    throw new HttpError(
      400,
      `The prompt has ${prompt.length} tokens and this model's context is ${maxLength} tokens, ` +
        "of which the answer needs at least 1",
      { param: wanted.promptParam, code: "context_length_exceeded" },
    );
  }
  const sampling = samplingParams(wanted.request, {
    maxTokens: Math.min(wanted.maxTokens ?? numFree, numFree),
    seed: wanted.request.seed ?? rng.uint32(),
    model,
    defaults: options.defaults,
  });
  const text = textOptions(wanted.request, wanted);
  return Array.from({ length: wanted.request.n ?? 1 }, (_, index) => ({
    promptIndex,
    promptTokenIds: prompt,
    sampling: { ...sampling, seed: (sampling.seed + index) >>> 0 },
    text,
  }));
}
