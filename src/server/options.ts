/**
 * What the server needs from the rest of the program, as small interfaces that the concrete classes
 * satisfy by shape.
 *
 * @module
 */
import type { ClusterStatus, JoinInstructions } from "../cluster/status.ts";
import type { FinishReason, Priority, SamplingParams } from "../core.ts";
import type { Clock, Rng } from "../platform/platform.ts";
import type { ChatMessage } from "../tokenizer/chat_message.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { ReadAsset } from "./page.ts";

/** Everything `createServer()` is given. */
export interface ServerOptions {
  readonly engine: CompletionEngine;
  readonly tokenizer: Tokenizer;
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
  /** What is missing while it is not ready, for people; null when nothing is known. */
  readonly whatIsMissing?: () => string | null;
  /** Most sequences that may wait before requests are refused with 429; 256 unless given. */
  readonly maxWaiting?: number;
  /** Longest that a request may take; null is for ever, 10 minutes unless given. */
  readonly requestTimeoutMs?: number | null;
  /** API keys share cached prefixes; each has its own unless given. */
  readonly sharePrefixCache?: boolean;
  /** Largest request body: 413 past it. */
  readonly maxBodyBytes?: number;
  /** Origins whose pages may call; all unless given. */
  readonly corsOrigins?: readonly string[];
  /** Milliseconds since 1970, for `created`. */
  readonly dateMs?: () => number;
  /** The mesh, under /cluster/; only for `access.ownOrigins`. */
  readonly cluster?: ClusterView;
  /** Files of the page that browsers get at `/`. */
  readonly page?: ReadAsset;
  readonly access?: AccessOptions;
  /** Aborted when the server stops: ends what streams for ever. */
  readonly closing?: AbortSignal;
}

/** Who may call. Pages of any origin may call /v1/, as `corsOrigins` allows. */
export interface AccessOptions {
  /** Origins that lead to this server, such as "https://localhost:8420". Asked at every request. */
  readonly ownOrigins: () => readonly string[];
  /** Bound to loopback, where any other Host is an attack: refused on every path. */
  readonly isLoopback: boolean;
  /** /v1/ and /cluster/ want one of these, if there are any. */
  readonly apiKeys?: readonly string[];
}

/** The mesh as the endpoints show it. */
export interface ClusterView {
  status(): ClusterStatus;
  /** Calls back after every change; returns how to stop. */
  onChange(listener: () => void): () => void;
  join(): JoinInstructions;
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
  /**
   * The sequence joins the queue at the first `next()`. Aborting the signal ends it at once with
   * finish reason "abort", `return()` without. An error with a `status` is the client's to know.
   */
  generate(
    promptTokenIds: readonly number[],
    sampling: SamplingParams,
    options?: Partial<Terms> & { readonly signal?: AbortSignal },
  ): AsyncGenerator<TokenEvent>;
  stats(): EngineStats;
}

/** How a sequence is treated among others. */
export interface Terms {
  readonly priority: Priority;
  /** Clients that wait are served evenly. */
  readonly clientId: string;
  /** Cached prefixes are shared with sequences of the same salt only. */
  readonly cacheSalt: string;
  /** From the first `next()`; no limit unless given. */
  readonly timeoutMs?: number;
}

/** Tokens drawn since the last event; the last event carries the reason. */
export interface TokenEvent {
  readonly tokenIds: readonly number[];
  readonly finishReason: FinishReason | null;
  /** Tokens of the prompt that the prefix cache had. */
  readonly numCachedTokens: number;
}

/** How busy the engine is, and has been. */
export interface EngineStats {
  readonly numRunning: number;
  readonly numWaiting: number;
  /** Blocks that can be given out: those that nobody holds and those of the prefix cache alone. */
  readonly numFreeBlocks: number;
  readonly numCachedBlocks: number;
  readonly numBlocks: number;
  /** Totals since the start. */
  readonly numPromptTokens: number;
  readonly numCachedPromptTokens: number;
  readonly numPreemptions: number;
}

/** Renders a conversation as the text that the model was trained on. */
export interface Template {
  /** Errors about the conversation carry a `status`. */
  render(messages: readonly ChatMessage[], options: TemplateOptions): string;
}

/** What a chat template may look at besides the messages. */
export interface TemplateOptions {
  readonly addGenerationPrompt: boolean;
  readonly tools?: readonly Record<string, unknown>[];
  readonly kwargs?: Readonly<Record<string, unknown>>;
}
