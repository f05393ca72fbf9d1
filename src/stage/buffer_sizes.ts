import { BLOCK_SIZE, type ModelConfig } from "../core.ts";
import { allocatedBytes } from "../gpu/buffer.ts";
import { STEP_BYTES } from "../kernels/context.ts";
import { CHUNK_ROWS } from "../kernels/delta_solve.ts";
import { pairsBytes } from "../kernels/index_pairs.ts";
import { PENALTY_ENTRY_BYTES, PENALTY_ROW_BYTES } from "../kernels/penalize.ts";
import { SAMPLE_PARAMS_BYTES } from "../kernels/sample.ts";
import type { Architecture } from "../models/architecture.ts";
import { planScratch } from "./scratch_plan.ts";
import type { StageLimits } from "./stage_limits.ts";

/** Results on their way at once: while one is read, the next step is computed. */
export const NUM_READBACKS = 2;

/** What a stage's buffers depend on. */
export interface BufferSizesRequest {
  readonly architecture: Pick<Architecture, "scratchColumns">;
  readonly config: ModelConfig;
  readonly limits: Omit<StageLimits, "numBlocks">;
  readonly hasHead: boolean;
}

/** Slots for the states of linear attention: one for each running sequence, then the saved ones. */
export function numStateSlots(
  { maxSequences, numSavedStates }: Pick<StageLimits, "maxSequences" | "numSavedStates">,
): number {
  return maxSequences + numSavedStates;
}

/** Bytes of every buffer of a stage beside weights and the memory of layers, for the largest batch. */
export function bufferSizes({ architecture, config, limits, hasHead }: BufferSizesRequest) {
  const { hiddenSize, vocabSize, rope, slidingRope } = config;
  const { maxBatchTokens, maxSequences, maxSamples, maxModelLength } = limits;
  const rowBytes = hiddenSize * 4;
  return {
    step: STEP_BYTES,
    scratch: planScratch([
      ...architecture.scratchColumns(config).map((columns) => rowsOf(columns, maxBatchTokens)),
      ...(hasHead ? [rowsOf({ headInput: hiddenSize, logits: vocabSize }, maxSamples)] : []),
    ]),
    /** Each of `NUM_READBACKS`. */
    readback: hasHead ? maxSamples * 4 : maxBatchTokens * rowBytes,
    batch: {
      hidden: maxBatchTokens * rowBytes,
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
      // Of a slice of CHUNK_ROWS tokens and one, two.
      chunks: Math.ceil(2 * maxBatchTokens / CHUNK_ROWS) * 8,
      stateRestores: pairsBytes(maxSequences),
      stateSaves: pairsBytes(maxSequences),
    },
    /** Of the last stage only, beside what is in `scratch`. */
    head: {
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

/** What these buffers take on a device, in bytes. */
export function bufferBytes(request: BufferSizesRequest): number {
  const { step, scratch, readback, batch, head } = bufferSizes(request);
  const sizes = [
    ...[step, ...scratch.sizes, ...Object.values(batch)],
    ...(request.hasHead ? Object.values(head) : []),
    ...new Array<number>(NUM_READBACKS).fill(readback),
  ];
  return sizes.reduce((total, sizeBytes) => total + allocatedBytes(sizeBytes), 0);
}

/** Bytes of f32 [numRows, columns] by name. */
function rowsOf(columns: Readonly<Record<string, number>>, numRows: number) {
  return Object.fromEntries(
    Object.entries(columns).map(([name, count]) => [name, numRows * count * 4]),
  );
}
