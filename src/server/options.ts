/**
 * What the server needs from the rest of the program, as small interfaces that the concrete classes
 * satisfy by shape.
 *
 * @module
 */
import type { FinishReason, SamplingParams } from "../core.ts";
import type { Clock, Rng } from "../platform/platform.ts";

/** Everything `createServer()` is given. */
export interface ServerOptions {
  readonly engine: CompletionEngine;
  readonly tokenizer: TextEncoding;
  /** Null for a base model: chat is then refused. */
  readonly chatTemplate: Template | null;
  readonly model: ServedModel;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Version of the program. */
  readonly version: string;
  /** What the model's authors recommend; a request's own fields win. */
  readonly defaults?: SamplingDefaults;
  /** False while the server cannot generate yet: 503. Always ready unless given. */
  readonly isReady?: () => boolean;
  /** Most sequences that may wait before requests are refused with 429. */
  readonly maxWaiting?: number;
  /** Largest request body: 413 past it. */
  readonly maxBodyBytes?: number;
  /** Origins whose pages may call; all unless given. */
  readonly corsOrigins?: readonly string[];
  /** Milliseconds since 1970, for `created`. */
  readonly dateMs?: () => number;
}

/** The model behind the endpoints. */
export interface ServedModel {
  readonly id: string;
  /** Other names that requests may use for it. */
  readonly aliases?: readonly string[];
  /** Exclusive bound of token ids in prompts. */
  readonly vocabSize: number;
  /** Ids that end every generation unless the request says `ignore_eos`. */
  readonly eosTokenIds: readonly number[];
}

/** Sampling values that apply where a request gives none. */
export type SamplingDefaults = Partial<
  Pick<
    SamplingParams,
    "temperature" | "topP" | "topK" | "minP" | "repetitionPenalty" | "maxTokens"
  >
>;

/** Token ids in, token ids out. */
export interface CompletionEngine {
  /** Longest prompt plus output, in tokens. */
  readonly maxModelLength: number;
  /** Aborting the signal or calling `return()` frees the sequence. */
  generate(
    promptTokenIds: readonly number[],
    sampling: SamplingParams,
    options?: { signal?: AbortSignal },
  ): AsyncGenerator<TokenEvent>;
  stats(): EngineStats;
}

/** Tokens drawn since the last event; the last event carries the reason. */
export interface TokenEvent {
  readonly tokenIds: readonly number[];
  readonly finishReason: FinishReason | null;
}

/** How busy the engine is. */
export interface EngineStats {
  readonly numRunning: number;
  readonly numWaiting: number;
  readonly numFreeBlocks: number;
  readonly numBlocks: number;
}

/** Text to ids and, token by token, back. */
export interface TextEncoding {
  encode(text: string, options: { addSpecialTokens: boolean }): number[];
  /** A fresh decoder of one output, which ends at the first of the stop strings. */
  detokenizer(stopStrings: readonly string[]): TextStream;
}

/** Text of one output as its tokens arrive; holds back half characters and half stop strings. */
export interface TextStream {
  /** Text that is now certain. */
  push(tokenId: number): string;
  /** What was held back; call once, at the end. */
  finish(): string;
  /** A stop string was met: the text before it has been given out, and no more will come. */
  readonly isStopped: boolean;
}

/** Renders a conversation as the text that the model was trained on. */
export interface Template {
  render(messages: readonly ChatMessage[], options: TemplateOptions): string;
}

/** What a chat template may look at besides the messages. */
export interface TemplateOptions {
  readonly addGenerationPrompt: boolean;
  readonly tools?: readonly Record<string, unknown>[];
  readonly kwargs?: Readonly<Record<string, unknown>>;
}

/** A message with its text parts joined; whatever else the client sent rides along. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
  readonly [field: string]: unknown;
}
