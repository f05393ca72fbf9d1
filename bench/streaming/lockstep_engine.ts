import type { SamplingParams } from "../../src/core.ts";
import type { CompletionEngine, EngineStats, TokenEvent } from "../../src/server/options.ts";

type Result = IteratorResult<TokenEvent, void>;

/**
 * An engine that costs nothing: once all of its sequences wait for a token, each gets one. So every
 * token is an event of its own, as with a GPU that is slower than its readers.
 */
export class LockstepEngine implements CompletionEngine {
  readonly maxModelLength = 1 << 20;
  readonly #numSequences: number;
  readonly #onStart: () => void;
  #readers: ((tokenId: number) => void)[] = [];
  #numRounds = 0;

  /** All sequences must be equally long. `onStart` is called before the first token. */
  constructor({ numSequences, onStart }: { numSequences: number; onStart: () => void }) {
    this.#numSequences = numSequences;
    this.#onStart = onStart;
  }

  generate(
    _promptTokenIds: readonly number[],
    { maxTokens }: SamplingParams,
  ): AsyncGenerator<TokenEvent, void, void> {
    let numTokens = 0;
    const done: Result = { done: true, value: undefined };
    return {
      next: () =>
        new Promise<Result>((resolve) => {
          this.#wait((tokenId) => {
            const finishReason = ++numTokens === maxTokens ? "length" : null;
            resolve({
              done: false,
              value: { tokenIds: [tokenId], finishReason, numCachedTokens: 0 },
            });
          });
        }),
      return: () => Promise.resolve(done),
      throw: (error) => Promise.reject(error),
      [Symbol.asyncIterator]() {
        return this;
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  stats(): EngineStats {
    return {
      ...{ numRunning: this.#numSequences, numWaiting: 0 },
      ...{ numBlocks: 1, numFreeBlocks: 1, numCachedBlocks: 0 },
      ...{ numPromptTokens: 0, numCachedPromptTokens: 0, numPreemptions: 0 },
    };
  }

  #wait(reader: (tokenId: number) => void): void {
    if (this.#readers.push(reader) < this.#numSequences) return;
    if (this.#numRounds === 0) this.#onStart();
    // In a turn of its own, as tokens come from a GPU.
    setImmediate(() => {
      const readers = this.#readers;
      this.#readers = [];
      this.#numRounds++;
      for (const give of readers) give(this.#numRounds);
    });
  }
}
