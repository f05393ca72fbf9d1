import type { Answer, CompletionClient } from "./completion_client.ts";

interface Waiter {
  readonly numTokens: number;
  resolve(): void;
  reject(error: Error): void;
}

/** Answers that are generated side by side, each with a reader of its own. */
export class Streams {
  readonly #stopping = new AbortController();
  readonly #answers: readonly Promise<Answer>[];
  /** By stream. */
  readonly #numTokens: number[];
  readonly #waiters = new Set<Waiter>();
  /** Why a stream is over already. */
  #ended: Error | null = null;

  /** Sends all `prompts` at once. */
  constructor(client: CompletionClient, { prompts, maxTokens, signal }: {
    readonly prompts: readonly (readonly number[])[];
    /** Of each answer. */
    readonly maxTokens: number;
    readonly signal: AbortSignal;
  }) {
    const ending = AbortSignal.any([signal, this.#stopping.signal]);
    this.#numTokens = prompts.map(() => 0);
    this.#answers = prompts.map(async (promptTokenIds, index) => {
      const onToken = () => this.#count(index);
      const answer = await client.complete(
        { promptTokenIds, maxTokens },
        { signal: ending, onToken },
      );
      this.#end(answer);
      return answer;
    });
  }

  /** Of the stream that has most. */
  get mostTokens(): number {
    return Math.max(...this.#numTokens);
  }

  /** Resolves once every stream has so many tokens. Rejects with the reason when one ends first. */
  async allHave(numTokens: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { numTokens, resolve, reject };
    this.#waiters.add(waiter);
    this.#look();
    try {
      await promise;
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  /** Resolves when the first stream is over. */
  async anyEnded(): Promise<void> {
    await Promise.race(this.#answers);
  }

  /** Aborts those that run; what all have seen. */
  async stop(): Promise<readonly Answer[]> {
    this.#stopping.abort();
    return await Promise.all(this.#answers);
  }

  #count(index: number): void {
    this.#numTokens[index]!++;
    this.#look();
  }

  #end({ outcome, error, tokenMs }: Answer): void {
    const how = outcome === "failed" ? `failed (${error})` : "ended";
    this.#ended ??= new Error(`A stream ${how} after ${tokenMs.length} tokens`);
    this.#look();
  }

  #look(): void {
    const fewest = Math.min(...this.#numTokens);
    for (const { numTokens, resolve, reject } of this.#waiters) {
      if (fewest >= numTokens) resolve();
      else if (this.#ended !== null) reject(this.#ended);
    }
  }
}
