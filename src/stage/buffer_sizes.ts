import { BLOCK_SIZE, type ModelConfig } from "../core.ts";
import { STEP_BYTES } from "../kernels/context.ts";
import { pairsBytes } from "../kernels/index_pairs.ts";
import { PENALTY_ENTRY_BYTES, PENALTY_ROW_BYTES } from "../kernels/penalize.ts";
import { SAMPLE_PARAMS_BYTES } from "../kernels/sample.ts";
import type { Architecture } from "../models/architecture.ts";
import type { StageLimits } from "./stage_limits.ts";

/** Slots for the states of linear attention: one for each running sequence, then the saved ones. */
export function numStateSlots(
  { maxSequences, numSavedStates }: Pick<StageLimits, "maxSequences" | "numSavedStates">,
): number {
  return maxSequences + numSavedStates;
}

/** Bytes of every buffer of a stage beside weights and the memory of layers, for the largest batch. */
export function bufferSizes({ architecture, config, limits }: {
  readonly architecture: Pick<Architecture, "scratchColumns">;
  readonly config: ModelConfig;
  readonly limits: Omit<StageLimits, "numBlocks">;
}) {
  const { hiddenSize, vocabSize, rope, slidingRope } = config;
  const { maxBatchTokens, maxSequences, maxSamples, maxModelLength } = limits;
  const scratch: Record<string, number> = {};
  for (const [name, columns] of Object.entries(architecture.scratchColumns(config))) {
    scratch[name] = maxBatchTokens * columns * 4;
  }
  return {
    step: STEP_BYTES,
    /** By the architecture's names. */
    scratch,
    batch: {
      hidden: maxBatchTokens * hiddenSize * 4,
      angles: maxModelLength * rope.rotaryDim * 4,
      ...(slidingRope && { slidingAngles: maxModelLength * slidingRope.rotaryDim * 4 }),
      tokenIds: maxBatchTokens * 4,
      tokenRows: maxBatchTokens * 12,
      blockTables: maxSequences * Math.ceil(maxModelLength / BLOCK_SIZE) * 4,
      decodeRows: maxBatchTokens * 4,
      tiles: maxBatchTokens * 16,
      sampleRows: maxSamples * 4,
      blockCopies: pairsBytes(maxSequences),
      slices: maxSequences * 16,
      stateRestores: pairsBytes(maxSequences),
      stateSaves: pairsBytes(maxSequences),
    },
    /** Of the last stage only. */
    head: {
      normed: maxSamples * hiddenSize * 4,
      logits: maxSamples * vocabSize * 4,
      sampleParams: maxSamples * SAMPLE_PARAMS_BYTES,
      penaltyRows: maxSamples * PENALTY_ROW_BYTES,
      penaltyEntries: maxSequences * Math.min(vocabSize, maxModelLength) * PENALTY_ENTRY_BYTES,
      tokens: maxSamples * 4,
      lastTokens: maxSequences * 4,
      takenTokens: pairsBytes(maxSequences),
      drawnTokens: pairsBytes(maxSequences),
    },
  };
}
