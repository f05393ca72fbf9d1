import type { SamplingParams } from "../core.ts";
import type { Clock } from "../platform/platform.ts";
import { Detokenizer, type DetokenizerOptions } from "../tokenizer/detokenizer.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { HttpError } from "./errors.ts";
import { merge } from "./merge.ts";
import type { CompletionEngine, TokenEvent } from "./options.ts";

/** One choice of a completion: what the engine is asked for. */
export interface Choice {
  readonly promptTokenIds: readonly number[];
  readonly sampling: SamplingParams;
  /** How its tokens become text, and which strings end it. */
  readonly text: DetokenizerOptions;
}

/** New text of one choice; the last delta of a choice has a reason. */
export interface Delta {
  readonly index: number;
  readonly text: string;
  readonly finishReason: "stop" | "length" | null;
}

/**
 * Token counts as OpenAI reports them. A prompt that several choices share counts once; the token
 * that ends a choice has no text and does not count.
 */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** Speeds as llama.cpp reports them. Waiting in the queue counts as prompt time. */
export interface Timings {
  readonly prompt_n: number;
  readonly prompt_ms: number;
  readonly prompt_per_second: number;
  readonly predicted_n: number;
  readonly predicted_ms: number;
  readonly predicted_per_second: number;
}

export interface CompletionParts {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly numPromptTokens: number;
  readonly choices: readonly Choice[];
}

interface Means {
  readonly engine: CompletionEngine;
  readonly tokenizer: Tokenizer;
  readonly clock: Clock;
}

/** One answer in the making: its choices are generated side by side and come out as text. */
export class Completion {
  readonly id: string;
  readonly created: number;
  readonly numChoices: number;
  readonly #parts: CompletionParts;
  readonly #means: Means;
  readonly #ending = new AbortController();
  /** By choice; null where nothing is to be generated. */
  readonly #events: readonly (AsyncGenerator<TokenEvent> | null)[];
  readonly #startMs: number;
  #firstTokenMs: number | null = null;
  #lastTokenMs: number | null = null;
  #numTokens = 0;
  #isStopped = false;

  /** Throws what the engine throws at a prompt it cannot take. Nothing runs before `deltas()`. */
  constructor(parts: CompletionParts, means: Means) {
    this.id = parts.id;
    this.created = parts.created;
    this.numChoices = parts.choices.length;
    this.#parts = parts;
    this.#means = means;
    this.#startMs = means.clock.now();
    const { signal } = this.#ending;
    this.#events = parts.choices.map(({ promptTokenIds, sampling }) =>
      sampling.maxTokens > 0 ? means.engine.generate(promptTokenIds, sampling, { signal }) : null
    );
  }

  /** Ends every choice with what it has. */
  stop(): void {
    this.#isStopped = true;
    this.#ending.abort();
  }

  /** Ends every choice because nobody listens any more. Does nothing when all have ended. */
  cancel(): void {
    this.#ending.abort();
  }

  /** The text of all choices as it arrives. To be iterated once. */
  deltas(): AsyncGenerator<Delta> {
    const choices = this.#parts.choices.map((choice, index) => this.#generate(choice, index));
    const [only] = choices;
    return only !== undefined && choices.length === 1 ? only : merge(choices);
  }

  usage(): Usage {
    const { numPromptTokens } = this.#parts;
    return {
      prompt_tokens: numPromptTokens,
      completion_tokens: this.#numTokens,
      total_tokens: numPromptTokens + this.#numTokens,
    };
  }

  timings(): Timings {
    const { numPromptTokens } = this.#parts;
    const firstMs = this.#firstTokenMs ?? this.#means.clock.now();
    const promptMs = firstMs - this.#startMs;
    const predictedMs = (this.#lastTokenMs ?? firstMs) - firstMs;
    return {
      prompt_n: numPromptTokens,
      prompt_ms: promptMs,
      prompt_per_second: perSecond(numPromptTokens, promptMs),
      predicted_n: this.#numTokens,
      predicted_ms: predictedMs,
      predicted_per_second: perSecond(this.#numTokens, predictedMs),
    };
  }

  async *#generate(choice: Choice, index: number): AsyncGenerator<Delta> {
    const events = this.#events[index] ?? null;
    if (events === null) return yield { index, text: "", finishReason: "length" };
    const { signal } = this.#ending;
    const { stopTokenIds } = choice.sampling;
    const detokenizer = new Detokenizer(this.#means.tokenizer, choice.text);
    const free = () => void events.return(undefined).catch(() => {});
    try {
      while (true) {
        const next = await untilAborted(events.next(), signal);
        if (next === null) break;
        if (next.done) throw new Error("The engine ended without a reason");
        const { tokenIds, finishReason } = next.value;
        let text = "";
        for (const tokenId of tokenIds) {
          if (stopTokenIds.includes(tokenId)) continue;
          this.#countToken();
          text += detokenizer.push([tokenId]);
          if (detokenizer.stopString === null) continue;
          // Before the reader takes the text: it may be slow, and the blocks are wanted.
          free();
          return yield { index, text, finishReason: "stop" };
        }
        if (finishReason === "abort") {
          if (signal.aborted) break;
          throw new HttpError(503, "The server ended this generation", { code: "aborted" });
        }
        if (finishReason !== null) {
          return yield { index, text: text + detokenizer.flush(), finishReason };
        }
        if (text !== "") yield { index, text, finishReason };
      }
      if (!this.#isStopped) throw new HttpError(499, "The client closed the request");
      yield { index, text: detokenizer.flush(), finishReason: "stop" };
    } finally {
      free();
    }
  }

  #countToken(): void {
    this.#numTokens += 1;
    this.#lastTokenMs = this.#means.clock.now();
    this.#firstTokenMs ??= this.#lastTokenMs;
  }
}

/** The promise's outcome, or null as soon as the signal is aborted. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const onAbort = () => resolve(null);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function perSecond(count: number, ms: number): number {
  return ms > 0 ? count * 1000 / ms : 0;
}
