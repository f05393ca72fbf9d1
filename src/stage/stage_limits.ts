/** How large a stage's buffers are. */
export interface StageLimits {
  /** KV blocks in the pool of each layer. */
  readonly numBlocks: number;
  /** Most tokens of one sequence. */
  readonly maxModelLength: number;
  /** Most tokens of one batch. */
  readonly maxBatchTokens: number;
  /** Most sequences in one batch. */
  readonly maxSequences: number;
  /** States of linear attention that are kept beside those of the running sequences; 0 without. */
  readonly numSavedStates: number;
  /** Most rows of logits in one batch: `maxSequences`, or more where all logits are wanted. */
  readonly maxSamples: number;
}
