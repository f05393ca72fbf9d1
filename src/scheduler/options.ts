import { BLOCK_SIZE } from "../core.ts";

/** The limits of one scheduler. All are positive integers. */
export interface SchedulerOptions {
  /** Blocks in the KV pool of every stage. */
  readonly numBlocks: number;
  /** Most tokens of one sequence, prompt and output together. */
  readonly maxModelLength: number;
  /** Most tokens of one batch, over all its slices. At least `maxSequences`. */
  readonly maxBatchTokens: number;
  /** Most sequences that run at once; the others wait. */
  readonly maxSequences: number;
  /** Batches that the caller keeps in flight; decodes are shared out among them. 1 if absent. */
  readonly numMicroBatches?: number;
}

/**
 * Fills in the defaults. Throws a RangeError when a limit is not a positive integer or when two of
 * them contradict each other.
 */
export function resolveOptions(options: SchedulerOptions): Required<SchedulerOptions> {
  const resolved = { numMicroBatches: 1, ...options };
  for (const [name, value] of Object.entries(resolved)) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`${name} must be a positive integer, got "${value}"`);
    }
  }
  const { maxBatchTokens, maxSequences } = resolved;
  if (maxBatchTokens < maxSequences) {
    throw new RangeError(
      `maxBatchTokens "${maxBatchTokens}" is below maxSequences "${maxSequences}": each running ` +
        `sequence takes a token a step, so raise the first or lower the second`,
    );
  }
  return resolved;
}

/** Most tokens of one sequence: the model's limit or what the pool holds, whichever is lower. */
export function longestSequence({ maxModelLength, numBlocks }: SchedulerOptions): number {
  return Math.min(maxModelLength, numBlocks * BLOCK_SIZE);
}
