import type { SamplingParams } from "../core.ts";
import type { Clock } from "../platform/platform.ts";
import { Detokenizer, type DetokenizerOptions } from "../tokenizer/detokenizer.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { HttpError } from "./errors.ts";
import type { CompletionEngine, Terms, TokenEvent } from "./options.ts";
import type { Ticket } from "./queue.ts";

/** Text that one delta holds at most, in UTF-16 units: a reader that was away gets several. */
const MAX_DELTA_LENGTH = 65_536;

/** Why a signal aborts that ends a choice early and in order. */
export const STOPPED = Symbol("stopped");

/** One choice of a completion: what the engine is asked for. */
export interface Choice {
  /** Choices of one prompt share the number. */
  readonly promptIndex: number;
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

/** What choices are generated with. */
export interface ChoiceMeans {
  readonly engine: CompletionEngine;
  readonly tokenizer: Tokenizer;
  readonly clock: Clock;
  readonly terms: Terms;
  /** Ends the choice: with what it has when the reason is STOPPED, else with the reason. */
  readonly signal: AbortSignal;
}

/** One choice while it is generated. */
export class RunningChoice {
  readonly #choice: Choice;
  readonly #index: number;
  readonly #means: ChoiceMeans;
  /** Null where nothing is to be generated. */
  readonly #events: AsyncGenerator<TokenEvent> | null;
  /** The event that was asked for when the choice joined the queue. */
  #firstEvent: Promise<IteratorResult<TokenEvent>> | null = null;
  #ticket: Ticket | null = null;
  #numTokens = 0;
  #numCachedTokens: number | null = null;
  #firstTokenMs: number | null = null;
  #lastTokenMs: number | null = null;

  /** Throws what the engine throws at a prompt it cannot take. */
  constructor(choice: Choice, { index, means }: { index: number; means: ChoiceMeans }) {
    const { promptTokenIds, sampling } = choice;
    this.#choice = choice;
    this.#index = index;
    this.#means = means;
    this.#events = sampling.maxTokens > 0
      ? means.engine.generate(promptTokenIds, sampling, { ...means.terms, signal: means.signal })
      : null;
  }

  get promptIndex(): number {
    return this.#choice.promptIndex;
  }

  /** Tokens with a text. */
  get numTokens(): number {
    return this.#numTokens;
  }

  /** Of its prompt, in the prefix cache; null before its first token. */
  get numCachedTokens(): number | null {
    return this.#numCachedTokens;
  }

  get firstTokenMs(): number | null {
    return this.#firstTokenMs;
  }

  get lastTokenMs(): number | null {
    return this.#lastTokenMs;
  }

  /** Joins the queue. To be called once, before `deltas()`. */
  start(join: () => Ticket): void {
    if (this.#events === null) return;
    this.#ticket = join();
    this.#firstEvent = this.#events.next();
    // An error is thrown where the event is read, if it is read.
    this.#firstEvent.catch(() => {});
  }

  /** Gives back its place in the queue and its blocks, read or not. */
  free(): void {
    this.#ticket?.end();
    void this.#events?.return(undefined).catch(() => {});
  }

  /**
   * The text as it arrives. Tokens that come while nobody asks wait as ids, not as text. To be
   * iterated once.
   */
  async *deltas(): AsyncGenerator<Delta> {
    const index = this.#index;
    const { text: textOptions, sampling: { stopTokenIds } } = this.#choice;
    if (this.#events === null) return yield { index, text: "", finishReason: "length" };
    const detokenizer = new Detokenizer(this.#means.tokenizer, textOptions);
    try {
      while (true) {
        const { tokenIds, finishReason } = await this.#nextEvent(this.#events);
        let text = "";
        for (const tokenId of tokenIds) {
          if (stopTokenIds.includes(tokenId)) continue;
          this.#numTokens++;
          text += detokenizer.push([tokenId]);
          if (detokenizer.stopString !== null) {
            // Before the reader takes the text: it may be slow, and the blocks are wanted.
            this.free();
            return yield { index, text, finishReason: "stop" };
          }
          if (text.length < MAX_DELTA_LENGTH) continue;
          yield { index, text, finishReason: null };
          text = "";
        }
        if (finishReason !== null) {
          const reason = finishReason === "abort" ? this.#reasonOfAbort() : finishReason;
          return yield { index, text: text + detokenizer.flush(), finishReason: reason };
        }
        if (text !== "") yield { index, text, finishReason };
      }
    } finally {
      this.free();
    }
  }

  async #nextEvent(events: AsyncGenerator<TokenEvent>): Promise<TokenEvent> {
    const { done, value } = await (this.#firstEvent ?? events.next());
    this.#firstEvent = null;
    if (done) throw this.#cause(new Error("The engine ended without a reason"));
    this.#numCachedTokens ??= value.numCachedTokens;
    if (value.tokenIds.length === 0) return value;
    this.#ticket?.start();
    this.#lastTokenMs = this.#means.clock.now();
    this.#firstTokenMs ??= this.#lastTokenMs;
    return value;
  }

  #reasonOfAbort(): "stop" {
    if (this.#means.signal.reason === STOPPED) return "stop";
    throw this.#cause(new HttpError(503, "The server ended this generation", { code: "aborted" }));
  }

  /** Why the choice ended early: what the signal says, else `error`. */
  #cause(error: Error): unknown {
    const { aborted, reason } = this.#means.signal;
    return aborted ? reason : error;
  }
}
