import { type Engine, RefusedError, type TokenEvent } from "../../src/engine.ts";
import { PipelineLostError } from "../../src/pipeline/pipeline_lost_error.ts";
import { InvariantError } from "./invariant_error.ts";
import type { SimNode } from "./node.ts";
import type { RequestPlan } from "./plan.ts";
import type { Reference } from "./reference.ts";

/** How a request ended. */
export type ClientEnd =
  | "success"
  | "abort"
  | "left"
  | "refused"
  | "timeout"
  | "too-small"
  | "error";

/** What a client needs. */
export interface ClientOptions {
  readonly index: number;
  readonly plan: RequestPlan;
  readonly reference: Reference;
  readonly engine: Engine;
  /** The coordinator's. */
  readonly node: SimNode;
  /** The coordinator stops: all requests are aborted. */
  readonly isClosing: () => boolean;
  /** Calls what may queue the sequence. */
  readonly watchStart: (client: Client, start: () => void) => void;
  /** Something is about to end the request early. */
  readonly onCancel: (client: Client) => void;
  /** Whether a sequence of so many tokens may end because the pool holds no more. */
  readonly fillsPool: (numTokens: number) => boolean;
  readonly onTokens: (client: Client, event: TokenEvent) => void;
  readonly onEnd: (client: Client) => void;
}

/** One request and whoever reads its tokens. */
export class Client {
  readonly plan: RequestPlan;
  readonly index: number;
  readonly reference: Reference;
  end: ClientEnd | null = null;
  /** With which it ended. */
  error: unknown = null;
  /** It hung up or aborted: nothing of it runs any more. */
  isCancelled = false;
  startMs = 0;
  firstTokenMs: number | null = null;
  numTokens = 0;
  /** On its signal: none may be left in the end. */
  numListeners = 0;
  readonly #options: ClientOptions;
  readonly #aborting = new AbortController();

  constructor(options: ClientOptions) {
    this.#options = options;
    this.plan = options.plan;
    this.index = options.index;
    this.reference = options.reference;
    countListeners(this.#aborting.signal, (change) => this.numListeners += change);
  }

  /** Asks, reads and checks. Throws an InvariantError. */
  async run(): Promise<void> {
    const { engine, node, watchStart, onEnd } = this.#options;
    const { promptTokenIds, sampling, priority, clientId, cacheSalt, timeoutMs } = this.plan;
    this.startMs = node.now();
    let stream: AsyncGenerator<TokenEvent, void, void>;
    try {
      stream = engine.generate(promptTokenIds, sampling, {
        ...{ priority, clientId, cacheSalt, signal: this.#aborting.signal },
        ...(timeoutMs !== null && { timeoutMs }),
      });
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      const { length } = promptTokenIds;
      if (length > 0 && length < engine.maxModelLength) throw this.#broken("L1", "was refused");
      this.end = "refused";
      return onEnd(this);
    }
    let first!: Promise<IteratorResult<TokenEvent, void>>;
    watchStart(this, () => first = stream.next());
    this.#cancelInTime(stream);
    await this.#read(stream, first);
    onEnd(this);
    // Whatever is asked after the end, there is no second one.
    for (let i = 0; i < 2; i++) {
      const { done } = await stream.next();
      if (!done) throw this.#broken("S2", "goes on after its end");
    }
  }

  /** Nothing of it may run any more. */
  get isOver(): boolean {
    return this.isCancelled || this.end !== null;
  }

  /** Of the tokens that there will be. */
  get numExpected(): number {
    this.reference.finish();
    return this.reference.tokenIds.length;
  }

  async #read(
    stream: AsyncGenerator<TokenEvent, void, void>,
    first: Promise<IteratorResult<TokenEvent, void>>,
  ): Promise<void> {
    const { node } = this.#options;
    const { readEveryMs } = this.plan;
    let next = first;
    this.#cancelAfterTokens(stream);
    while (true) {
      let result: IteratorResult<TokenEvent, void>;
      try {
        result = await next;
      } catch (error) {
        return this.#fail(error);
      }
      if (result.done) {
        if (!this.isCancelled) throw this.#broken("S2", "ended without a reason");
        this.end = "left";
        return;
      }
      this.#take(result.value);
      if (this.end !== null) return;
      this.#cancelAfterTokens(stream);
      if (readEveryMs > 0) await node.sleep(readEveryMs);
      next = stream.next();
    }
  }

  #take(event: TokenEvent): void {
    const { tokenIds, finishReason, numCachedTokens } = event;
    const { reference } = this;
    if (tokenIds.length > 0) this.firstTokenMs ??= this.#options.node.now();
    for (const tokenId of tokenIds) {
      reference.reach(this.numTokens + 1);
      const wanted = reference.tokenIds[this.numTokens++];
      if (tokenId === wanted) continue;
      throw this.#broken("S1", `token ${this.numTokens - 1} is ${tokenId} instead of ${wanted}`);
    }
    if (numCachedTokens < 0 || numCachedTokens >= this.plan.promptTokenIds.length) {
      throw this.#broken("S1", `has ${numCachedTokens} cached tokens in its prompt`);
    }
    this.#options.onTokens(this, event);
    if (finishReason === null) return;
    if (finishReason === "abort") {
      if (!this.isCancelled && !this.#options.isClosing()) {
        throw this.#broken("S2", "was aborted by nobody");
      }
      this.end = "abort";
      return;
    }
    this.end = "success";
    const { length: promptLength } = this.plan.promptTokenIds;
    if (finishReason === "length" && this.#options.fillsPool(promptLength + this.numTokens)) return;
    const wanted = reference.finish();
    if (finishReason !== wanted || this.numTokens !== reference.tokenIds.length) {
      const { length } = reference.tokenIds;
      throw this.#broken(
        "S2",
        `ended with "${finishReason}" after ${this.numTokens} tokens, not "${wanted}" after ${length}`,
      );
    }
  }

  #fail(error: unknown): void {
    this.error = error;
    if (error instanceof InvariantError) throw error;
    const { name } = error as Error;
    if (name === "TimeoutError") this.#failInTime();
    else if (name === "CacheTooSmallError") this.end = "too-small";
    else if (error instanceof PipelineLostError) {
      throw this.#broken("S2", "was told of a lost pipeline");
    } else this.end = "error";
  }

  #failInTime(): void {
    const { timeoutMs } = this.plan;
    this.end = "timeout";
    this.isCancelled = true;
    if (timeoutMs !== null && this.#options.node.now() - this.startMs >= timeoutMs - 1e-6) return;
    throw this.#broken("S2", `timed out, its limit being ${timeoutMs}`);
  }

  #cancelAfterTokens(stream: AsyncGenerator<TokenEvent, void, void>): void {
    const afterTokens = this.plan.cancel?.afterTokens ?? null;
    if (afterTokens === null) return;
    const wanted = afterTokens < 0 ? Math.max(0, this.numExpected + afterTokens) : afterTokens;
    if (this.numTokens >= wanted) this.#cancel(stream);
  }

  #cancelInTime(stream: AsyncGenerator<TokenEvent, void, void>): void {
    const afterMs = this.plan.cancel?.afterMs ?? null;
    if (afterMs === null) return;
    const { node } = this.#options;
    node.kernel.schedule(afterMs, node, () => this.#cancel(stream));
  }

  #cancel(stream: AsyncGenerator<TokenEvent, void, void>): void {
    if (this.isCancelled || this.end !== null) return;
    this.#options.onCancel(this);
    if (this.plan.cancel?.how === "signal") this.#aborting.abort();
    else void stream.return();
    this.isCancelled = true;
  }

  #broken(invariant: "S1" | "S2" | "L1", what: string): InvariantError {
    return new InvariantError(invariant, `Request ${this.index} ${what}`);
  }
}

function countListeners(signal: AbortSignal, onChange: (change: number) => void): void {
  const { addEventListener, removeEventListener } = signal;
  const listeners = new Set<unknown>();
  const change = (alter: () => void) => {
    const { size } = listeners;
    alter();
    onChange(listeners.size - size);
  };
  signal.addEventListener = (type: string, listener: unknown, options?: unknown) => {
    change(() => listeners.add(listener));
    addEventListener.call(
      signal,
      type,
      listener as EventListener,
      options as AddEventListenerOptions,
    );
  };
  signal.removeEventListener = (type: string, listener: unknown) => {
    change(() => listeners.delete(listener));
    removeEventListener.call(signal, type, listener as EventListener);
  };
}
