import { BLOCK_SIZE } from "../core.ts";

/** The limits of one scheduler. All but `numSavedStates` are positive integers. */
export interface SchedulerOptions {
  /** Blocks in the KV pool of every stage. */
  readonly numBlocks: number;
  /** Most tokens of one sequence, prompt and output together. */
  readonly maxModelLength: number;
  /** Most tokens of one batch, over all its slices. At least `maxSequences`. */
  readonly maxBatchTokens: number;
  /** Most sequences that run at once; the others wait. */
  readonly maxSequences: number;
  /** States of linear attention that every stage can save; 0 or absent for a model without. */
  readonly numSavedStates?: number;
}

/**
 * Throws a RangeError when a limit is not a positive integer or when two of them contradict each
 * other.
 */
export function checkOptions(options: SchedulerOptions): void {
  const { numSavedStates = 0, ...positive } = options;
  for (const [name, value] of Object.entries(positive)) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`${name} must be a positive integer, got "${value}"`);
    }
  }
  if (!Number.isInteger(numSavedStates) || numSavedStates < 0) {
    throw new RangeError(`numSavedStates must be an integer from 0, got "${numSavedStates}"`);
  }
  const { maxBatchTokens, maxSequences } = options;
  if (maxBatchTokens < maxSequences) {
    throw new RangeError(
      `maxBatchTokens "${maxBatchTokens}" is below maxSequences "${maxSequences}": each running ` +
        `sequence takes a token a step, so raise the first or lower the second`,
    );
  }
}

/** Most tokens of one sequence: the model's limit or what the pool holds, whichever is lower. */
export function longestSequence({ maxModelLength, numBlocks }: SchedulerOptions): number {
  return Math.min(maxModelLength, numBlocks * BLOCK_SIZE);
}
