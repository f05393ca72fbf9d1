import type { FinishReason } from "../core.ts";

/** What became of a sequence since the event before. */
export interface TokenEvent {
  /** New tokens in order; several when the reader was slower than the model. May be empty. */
  readonly tokenIds: readonly number[];
  /** Set on the last event and on no other. */
  readonly finishReason: FinishReason | null;
  /** Tokens of the prompt that the prefix cache had when the sequence first ran; 0 before. */
  readonly numCachedTokens: number;
}

/** Told when a stream begins and when it is over. */
export interface TokenStreamHooks {
  /** The first `next()`. What it throws fails the stream. */
  onStart(): void;
  /** Once, after `onStart`: the stream was finished, failed or left by its reader. */
  onEnd(): void;
}

/**
 * The tokens of one sequence between the model and a reader. Unlike an async generator's, its
 * `return()` takes effect at once, even while a `next()` is pending: a reader that hangs up does
 * not wait for one more token.
 */
export class TokenStream implements AsyncGenerator<TokenEvent, void, void> {
  readonly #hooks: TokenStreamHooks;
  readonly #readers: Reader[] = [];
  #state: "new" | "open" | "ended" = "new";
  /** Not read yet; at most the sequence's `maxTokens`. */
  #tokenIds: number[] = [];
  /** Of the prompt: set once, before the first token. */
  numCachedTokens = 0;
  #end: { readonly finishReason: FinishReason } | { readonly error: unknown } | null = null;

  constructor(hooks: TokenStreamHooks) {
    this.#hooks = hooks;
  }

  /** Adds a token. Does nothing after the end. */
  push(tokenId: number): void {
    if (this.#state !== "open") return;
    this.#tokenIds.push(tokenId);
    this.#deliver();
  }

  /** Ends the stream: its last event carries `finishReason` and, if there is one, a last token. */
  finish(finishReason: FinishReason, lastTokenId: number | null = null): void {
    if (this.#state !== "open") return;
    if (lastTokenId !== null) this.#tokenIds.push(lastTokenId);
    this.#close({ finishReason });
  }

  /** Ends the stream: once its tokens are read, `next()` rejects with `error`. */
  fail(error: unknown): void {
    this.#close({ error });
  }

  next(): Promise<IteratorResult<TokenEvent, void>> {
    const result = new Promise<IteratorResult<TokenEvent, void>>((resolve, reject) => {
      this.#readers.push({ resolve, reject });
    });
    if (this.#state === "new") this.#start();
    this.#deliver();
    return result;
  }

  /** The reader leaves: what it has not read is dropped and pending reads are done. */
  return(): Promise<IteratorResult<TokenEvent, void>> {
    if (this.#state === "new") this.#state = "ended";
    this.#close(null);
    this.#tokenIds = [];
    this.#end = null;
    this.#deliver();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** As `return()`, and rejects with `error`. */
  async throw(error: unknown): Promise<IteratorResult<TokenEvent, void>> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #start(): void {
    this.#state = "open";
    try {
      this.#hooks.onStart();
    } catch (error) {
      this.fail(error);
    }
  }

  #close(end: { finishReason: FinishReason } | { error: unknown } | null): void {
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.#end = end;
    this.#hooks.onEnd();
    this.#deliver();
  }

  /** Gives the oldest readers what there is: tokens with or without an end, an error, or nothing. */
  #deliver(): void {
    while (this.#readers.length > 0) {
      const end = this.#end;
      const isFinished = end !== null && "finishReason" in end;
      if (this.#tokenIds.length > 0 || isFinished) {
        const finishReason = isFinished ? end.finishReason : null;
        const { numCachedTokens } = this;
        const value: TokenEvent = { tokenIds: this.#tokenIds, finishReason, numCachedTokens };
        this.#tokenIds = [];
        if (isFinished) this.#end = null;
        this.#readers.shift()!.resolve({ done: false, value });
      } else if (end !== null) {
        this.#end = null;
        this.#readers.shift()!.reject(end.error);
      } else if (this.#state === "ended") {
        this.#readers.shift()!.resolve({ done: true, value: undefined });
      } else {
        return;
      }
    }
  }
}

interface Reader {
  resolve(result: IteratorResult<TokenEvent, void>): void;
  reject(error: unknown): void;
}
