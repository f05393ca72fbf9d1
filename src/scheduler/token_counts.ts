import type { PenaltyRequest, SamplingParams } from "../core.ts";

/** Whether any penalty of `sampling` changes a logit. */
export function hasPenalty(sampling: SamplingParams): boolean {
  return sampling.presencePenalty !== 0 || sampling.frequencyPenalty !== 0 ||
    sampling.repetitionPenalty !== 1;
}

/** How often each token of one sequence was generated; kept only where a penalty is on. */
export class TokenCounts {
  /** Token id to its count in the output, in the order of first appearance; prompt only is 0. */
  readonly #outputCounts = new Map<number, number>();

  constructor(promptTokenIds: readonly number[]) {
    for (const tokenId of promptTokenIds) this.#outputCounts.set(tokenId, 0);
  }

  /** Counts one generated token. */
  add(tokenId: number): void {
    this.#outputCounts.set(tokenId, (this.#outputCounts.get(tokenId) ?? 0) + 1);
  }

  /** The counts as they are now, with the strengths of `sampling`. */
  toRequest(sampling: SamplingParams): PenaltyRequest {
    return {
      presence: sampling.presencePenalty,
      frequency: sampling.frequencyPenalty,
      repetition: sampling.repetitionPenalty,
      tokenIds: Uint32Array.from(this.#outputCounts.keys()),
      outputCounts: Uint32Array.from(this.#outputCounts.values()),
    };
  }
}
