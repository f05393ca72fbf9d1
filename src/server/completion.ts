import { type Choice, type ChoiceMeans, type Delta, RunningChoice, STOPPED } from "./choice.ts";
import { HttpError } from "./errors.ts";
import { merge } from "./merge.ts";
import type { Ticket } from "./queue.ts";

/**
 * Token counts as OpenAI reports them. A prompt that several choices share counts once; the token
 * that ends a choice has no text and does not count.
 */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  /** Of the prompts, what the prefix cache had when the request came. */
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

/**
 * Speeds as llama.cpp reports them: the prompt's are those of the tokens that were not cached.
 * Waiting in the queue counts as prompt time.
 */
export interface Timings {
  readonly cache_n: number;
  readonly prompt_n: number;
  readonly prompt_ms: number;
  readonly prompt_per_second: number;
  readonly predicted_n: number;
  readonly predicted_ms: number;
  readonly predicted_per_second: number;
}

/** What a completion is made of. */
export interface CompletionParts {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly numPromptTokens: number;
  readonly choices: readonly Choice[];
}

/** One answer in the making: its choices are generated side by side and come out as text. */
export class Completion {
  readonly id: string;
  readonly created: number;
  readonly #numPromptTokens: number;
  readonly #clock: ChoiceMeans["clock"];
  readonly #ending = new AbortController();
  readonly #choices: readonly RunningChoice[];
  readonly #startMs: number;

  /** Throws what the engine throws at a prompt it cannot take. Nothing runs before `start()`. */
  constructor(parts: CompletionParts, means: Omit<ChoiceMeans, "signal">) {
    this.id = parts.id;
    this.created = parts.created;
    this.#numPromptTokens = parts.numPromptTokens;
    this.#clock = means.clock;
    this.#startMs = means.clock.now();
    const choiceMeans = { ...means, signal: this.#ending.signal };
    this.#choices = parts.choices.map((choice, index) =>
      new RunningChoice(choice, { index, means: choiceMeans })
    );
  }

  get numChoices(): number {
    return this.#choices.length;
  }

  /** All choices join the queue, each with a ticket of its own. */
  start(join: () => Ticket): void {
    for (const choice of this.#choices) choice.start(join);
  }

  /** Ends every choice with what it has. */
  stop(): void {
    this.#ending.abort(STOPPED);
  }

  /** Frees every choice because nobody listens any more. Does nothing when all have ended. */
  cancel(): void {
    this.#ending.abort(new HttpError(499, "The client closed the request"));
    for (const choice of this.#choices) choice.free();
  }

  /** The text of all choices as it arrives. To be iterated once. */
  deltas(): AsyncGenerator<Delta> {
    const choices = this.#choices.map((choice) => choice.deltas());
    const [only] = choices;
    return only !== undefined && choices.length === 1 ? only : merge(choices);
  }

  usage(): Usage {
    const numTokens = this.#numTokens;
    return {
      prompt_tokens: this.#numPromptTokens,
      completion_tokens: numTokens,
      total_tokens: this.#numPromptTokens + numTokens,
      prompt_tokens_details: { cached_tokens: this.#numCachedTokens },
    };
  }

  timings(): Timings {
    const numTokens = this.#numTokens;
    const numCachedTokens = this.#numCachedTokens;
    const numPromptTokens = this.#numPromptTokens - numCachedTokens;
    const firstMs = least(this.#choices.map(({ firstTokenMs }) => firstTokenMs)) ??
      this.#clock.now();
    const lastMs = Math.max(...this.#choices.map(({ lastTokenMs }) => lastTokenMs ?? firstMs));
    const promptMs = firstMs - this.#startMs;
    return {
      cache_n: numCachedTokens,
      prompt_n: numPromptTokens,
      prompt_ms: promptMs,
      prompt_per_second: perSecond(numPromptTokens, promptMs),
      predicted_n: numTokens,
      predicted_ms: lastMs - firstMs,
      predicted_per_second: perSecond(numTokens, lastMs - firstMs),
    };
  }

  get #numTokens(): number {
    return this.#choices.reduce((sum, { numTokens }) => sum + numTokens, 0);
  }

  /** Of each prompt, what its first choice found: the others also find what that one left. */
  get #numCachedTokens(): number {
    const byPrompt = new Map<number, number>();
    for (const { promptIndex, numCachedTokens } of this.#choices) {
      if (!byPrompt.has(promptIndex)) byPrompt.set(promptIndex, numCachedTokens ?? 0);
    }
    return byPrompt.values().reduce((sum, found) => sum + found, 0);
  }
}

function least(values: readonly (number | null)[]): number | null {
  const numbers = values.filter((value) => value !== null);
  return numbers.length === 0 ? null : Math.min(...numbers);
}

function perSecond(count: number, ms: number): number {
  return ms > 0 ? count * 1000 / ms : 0;
}
