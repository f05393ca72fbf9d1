import { type Batch, BLOCK_SIZE, DEFAULT_SAMPLING } from "../core.ts";
import type { StageLimits } from "../stage/stage_limits.ts";
import type { Pipeline } from "./pipeline.ts";

/** Decodes of these many sequences at once have kernels of their own. */
const DECODE_SIZES = [1, 2, 4, 8];

/** Tokens of a prompt, more than any kernel for few tokens takes. */
const PROMPT_TOKENS = 17;

/**
 * Runs each kind of batch once, so that no request waits for a shader to compile. What it leaves in
 * the KV cache is overwritten before anyone reads it: call it before the first sequence.
 */
export async function warmUp(
  pipeline: Pick<Pipeline, "forward">,
  limits: StageLimits,
): Promise<void> {
  const { maxSequences, numBlocks, maxBatchTokens, maxModelLength } = limits;
  const mostSequences = Math.min(maxSequences, numBlocks, maxBatchTokens);
  for (const size of DECODE_SIZES) {
    if (size <= mostSequences) await pipeline.forward(batchOf(size, 1));
  }
  const promptTokens = Math.min(
    PROMPT_TOKENS,
    maxBatchTokens,
    maxModelLength,
    numBlocks * BLOCK_SIZE,
  );
  await pipeline.forward(batchOf(1, promptTokens));
}

/** `numSequences` slices of `numTokens`, sampled with every option on. */
function batchOf(numSequences: number, numTokens: number): Batch {
  const numBlocks = Math.ceil(numTokens / BLOCK_SIZE);
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
      startPosition: 0,
      tokenIds: new Uint32Array(numTokens),
      blockTable: Uint32Array.from({ length: numBlocks }, (_, block) => sequenceId + block),
      sample: { ...options, tokenIndex: 0, penalties },
    })),
  };
}
