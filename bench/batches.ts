import { type Batch, BLOCK_SIZE } from "../src/core.ts";
import { GREEDY } from "./operands.ts";

/** `numSequences` equal sequences whose last `newTokens` of `length` are computed, the last sampled. */
export function evenBatch({ numSequences, newTokens, length, vocabSize }: {
  readonly numSequences: number;
  readonly newTokens: number;
  readonly length: number;
  readonly vocabSize: number;
}): Batch {
  const numBlocks = Math.ceil(length / BLOCK_SIZE);
  return {
    stepId: 0,
    slices: Array.from({ length: numSequences }, (_, sequenceId) => ({
      sequenceId,
      slot: sequenceId,
      startPosition: length - newTokens,
      tokenIds: Uint32Array.from(promptOf({ length: newTokens, seed: sequenceId, vocabSize })),
      blockTable: Uint32Array.from(
        { length: numBlocks },
        (_, block) => sequenceId * numBlocks + block,
      ),
      sample: GREEDY,
    })),
  };
}

/** Token ids without meaning, the same ones each time. */
export function promptOf({ length, seed, vocabSize }: {
  readonly length: number;
  readonly seed: number;
  readonly vocabSize: number;
}): number[] {
  return Array.from(
    { length },
    (_, i) => (Math.imul(i + 1, 2_654_435_761) + 97 * seed >>> 0) % vocabSize,
  );
}
