import { type Batch, type BatchSlice, BLOCK_SIZE, DEFAULT_SAMPLING } from "../core.ts";
import type { StageLimits } from "../stage/stage_limits.ts";
import { STEP_SIZES } from "../stage/step_sizes.ts";
import type { Pipeline } from "./pipeline.ts";

/**
 * Runs each kind of batch once, so that no request waits for a shader to compile. What it leaves in
 * the KV cache is overwritten before anyone reads it: call it before the first sequence.
 */
export async function warmUp(
  pipeline: Pick<Pipeline, "forward" | "numStages">,
  limits: StageLimits,
): Promise<void> {
  const { maxSequences, numBlocks, maxBatchTokens, maxModelLength } = limits;
  const mostSequences = Math.min(maxSequences, numBlocks, maxBatchTokens);
  const mostTokens = Math.min(maxModelLength, numBlocks * BLOCK_SIZE);
  const sizesUpTo = (most: number) => new Set(STEP_SIZES.map((size) => Math.min(size, most)));
  const decodeSizes = sizesUpTo(mostSequences);
  for (const size of decodeSizes) await pipeline.forward(batchOf(size, { numTokens: 1 }));
  const promptSizes = [...sizesUpTo(Math.min(maxBatchTokens, mostTokens))];
  const moves = limits.numSavedStates > 0 ? { stateMoves: { restoreFrom: 0, saveTo: 0 } } : {};
  for (const numTokens of promptSizes) {
    // Only attention tells a prompt from as many decodes.
    if (decodeSizes.has(numTokens) && numTokens !== promptSizes.at(-1)) continue;
    await pipeline.forward(batchOf(1, { numTokens, blockCopy: { from: 0, to: 0 }, ...moves }));
  }
  if (pipeline.numStages === 1 && mostTokens > 1) {
    await pipeline.forward(batchOf(1, { numTokens: 1, startPosition: 1, takesDrawn: true }));
  }
}

/** `numSequences` slices of `numTokens`, sampled with every option on. */
function batchOf(
  numSequences: number,
  { numTokens, startPosition = 0, ...rest }:
    & { readonly numTokens: number }
    & Partial<Pick<BatchSlice, "startPosition" | "takesDrawn" | "blockCopy" | "stateMoves">>,
): Batch {
  const numBlocks = Math.ceil((startPosition + numTokens) / BLOCK_SIZE);
  const penalties = {
    presence: 0.1,
    frequency: 0.1,
    repetition: 1.1,
    tokenIds: Uint32Array.of(0),
    outputCounts: Uint32Array.of(1),
  };
  const options = { ...DEFAULT_SAMPLING, temperature: 1, topP: 0.9, topK: 40, minP: 0.01 };
  return {
    stepId: 0,
    slices: Array.from({ length: numSequences }, (_, sequenceId) => ({
      sequenceId,
      slot: sequenceId,
      startPosition,
      tokenIds: new Uint32Array(numTokens),
      blockTable: Uint32Array.from({ length: numBlocks }, (_, block) => sequenceId + block),
      sample: { ...options, tokenIndex: 0, penalties },
      ...rest,
    })),
  };
}
