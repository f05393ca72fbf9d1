import type { FinishReason, SamplingParams } from "../../src/core.ts";
import { drawToken, soloSample } from "../pipeline/hash_chain.ts";
import { hash2, hash3 } from "./hash.ts";

/** What a reference generates. */
export interface ReferenceOptions {
  readonly promptTokenIds: readonly number[];
  readonly sampling: SamplingParams;
  readonly numLayers: number;
  readonly maxModelLength: number;
  /** Every layer keeps a state, as linear attention does. */
  readonly hasState: boolean;
}

/**
 * What a sequence generates when it runs alone: as `expectedOutput` of the hash chains, token by
 * token and without going back to the start.
 */
export class Reference {
  readonly promptTokenIds: readonly number[];
  readonly tokenIds: number[] = [];
  readonly #options: ReferenceOptions;
  /** Of each layer: the fold over its slots so far, and its state. */
  readonly #folds: number[];
  readonly #states: number[];
  #numRun = 0;
  #value = 0;
  #finishReason: FinishReason | null = null;

  constructor(options: ReferenceOptions) {
    this.#options = options;
    this.promptTokenIds = options.promptTokenIds;
    this.#folds = Array.from({ length: options.numLayers }, (_, layer) => layer);
    this.#states = this.#folds.map(() => 0);
    for (const tokenId of options.promptTokenIds) this.#run(tokenId);
  }

  /** Generates up to `count` tokens in all. Returns whether there are as many. */
  reach(count: number): boolean {
    while (this.tokenIds.length < count && this.#finishReason === null) this.#draw();
    return this.tokenIds.length >= count;
  }

  /** Generates all there is; why it ended. */
  finish(): FinishReason {
    this.reach(Infinity);
    return this.#finishReason!;
  }

  #draw(): void {
    const { promptTokenIds, sampling, maxModelLength } = this.#options;
    const tokenId = drawToken(
      this.#value,
      soloSample(promptTokenIds, { tokenIds: this.tokenIds, sampling }),
    );
    if (sampling.stopTokenIds.includes(tokenId)) {
      this.#finishReason = "stop";
      return;
    }
    this.tokenIds.push(tokenId);
    const length = promptTokenIds.length + this.tokenIds.length;
    if (this.tokenIds.length === sampling.maxTokens || length === maxModelLength) {
      this.#finishReason = "length";
      return;
    }
    this.#run(tokenId);
  }

  #run(tokenId: number): void {
    const position = this.#numRun++;
    let value = tokenId;
    for (const [layer, fold] of this.#folds.entries()) {
      const folded = this.#folds[layer] = hash2(fold, hash3(layer, position, value));
      if (this.#options.hasState) {
        const state = this.#states[layer] = hash2(this.#states[layer]!, value);
        value = hash2(folded, state);
      } else {
        value = folded;
      }
    }
    this.#value = value;
  }
}
