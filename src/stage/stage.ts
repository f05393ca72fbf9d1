/**
 * A stage runs one shard: it owns weights and a KV pool and obeys batches. LocalStage is one on
 * this process's GPU; a remote peer's stage has the same face.
 *
 * @module
 */
import type { Batch, Shard, TokenOutput } from "../core.ts";

/** What a stage hands on: hidden states to the next one, or the drawn tokens to the coordinator. */
export type StageOutput =
  /** `values` is [numBatchTokens, hiddenSize], rows in the order of the batch's slices. */
  | { readonly type: "hidden"; readonly values: Float32Array }
  /** One entry for each slice that asked for a sample, in the order of the slices. */
  | { readonly type: "tokens"; readonly tokens: readonly TokenOutput[] };

/** One shard, ready to run batches. */
export interface Stage {
  readonly shard: Shard;
  /**
   * Runs `batch`. `hidden` is the previous stage's output, or null on the stage that has the
   * embedding. Calls may overlap; they take effect in the order in which they were made.
   *
   * Throws when the batch does not fit the pool or the GPU device is lost.
   */
  forward(batch: Batch, hidden: Float32Array | null): Promise<StageOutput>;
  /** Frees GPU memory. Calls in flight reject. */
  close(): void;
}
