/**
 * A batch as the tables that kernels read.
 *
 * @module
 */
import {
  type Batch,
  type BatchSlice,
  BLOCK_SIZE,
  type SampleRequest,
  type StateMoves,
} from "../core.ts";
import { type IndexPair, packPairs } from "../kernels/index_pairs.ts";
import type { BatchShape } from "../models/architecture.ts";
import type { StageLimits } from "./stage_limits.ts";

/** The rows of logits that belong to one slice. */
export interface SampledSlice {
  readonly slice: BatchSlice;
  /** Rows [firstRow, endRow) of the logits; the last one draws the token. */
  readonly firstRow: number;
  readonly endRow: number;
}

/** Everything that is uploaded for one batch. */
export interface BatchLayout {
  readonly shape: BatchShape;
  readonly tokenIds: Uint32Array<ArrayBuffer>;
  /** (position, sequence, slot) of each token. */
  readonly tokenRows: Uint32Array<ArrayBuffer>;
  readonly blockTables: Uint32Array<ArrayBuffer>;
  readonly decodeRows: Uint32Array<ArrayBuffer>;
  /** (first row, rows, position of first, sequence) of each query tile. */
  readonly tiles: Uint32Array<ArrayBuffer>;
  readonly sampleRows: Uint32Array<ArrayBuffer>;
  /** (first row, rows, position of first, slot) of each slice. */
  readonly slices: Uint32Array<ArrayBuffer>;
  /** (first row, rows) of each chunk of the slices that have enough tokens for one. */
  readonly chunks: Uint32Array<ArrayBuffer>;
  /** Lists of pairs, for copies before the step: blocks; slot to token row. Null for no pair. */
  readonly blockCopies: Uint32Array<ArrayBuffer> | null;
  readonly takenTokens: Uint32Array<ArrayBuffer> | null;
  /** Saved state to slot; saved states follow the `maxSequences` slots. */
  readonly stateRestores: Uint32Array<ArrayBuffer> | null;
  /** And after it: slot to saved state; row of logits to slot. */
  readonly stateSaves: Uint32Array<ArrayBuffer> | null;
  readonly drawnTokens: Uint32Array<ArrayBuffer> | null;
  /** One for each sampled row. */
  readonly sampleRequests: readonly SampleRequest[];
  readonly sampled: readonly SampledSlice[];
}

/** How tokens are handed to the two attention kernels. */
export interface AttentionPlan {
  /** Blocks in a row of `blockTables`. */
  readonly maxBlocks: number;
  /** Tokens of a query tile; 0 gives every token to attention_decode. */
  readonly tileRows: number;
  /** Tokens of a chunk of linear attention; left out, every token goes to delta_rule. */
  readonly chunkRows?: number;
}

/** A row of logits that is wanted, not drawn from. */
const UNDRAWN: SampleRequest = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  seed: 0,
  tokenIndex: 0,
};

/** Lays out `batch`. Throws a RangeError when it does not fit the stage's limits. */
export function layoutBatch(
  batch: Batch,
  limits: StageLimits,
  { maxBlocks, tileRows, chunkRows = Infinity }: AttentionPlan,
): BatchLayout {
  const tokenIds: number[] = [];
  const tokenRows: number[] = [];
  const decodeRows: number[] = [];
  const tiles: number[] = [];
  const sampleRows: number[] = [];
  const sampleRequests: SampleRequest[] = [];
  const sampled: SampledSlice[] = [];
  const takenTokens: IndexPair[] = [];
  const slices: number[] = [];
  const chunks: number[] = [];
  const blockTables = new Uint32Array(batch.slices.length * maxBlocks);
  batch.slices.forEach((slice, sequence) => {
    checkSlice(slice, limits);
    const firstRow = tokenIds.length;
    const numTokens = slice.tokenIds.length;
    slices.push(firstRow, numTokens, slice.startPosition, slice.slot);
    if (slice.takesDrawn) takenTokens.push([slice.slot, firstRow]);
    blockTables.set(slice.blockTable, sequence * maxBlocks);
    slice.tokenIds.forEach((tokenId, i) => {
      const position = slice.startPosition + i;
      const block = slice.blockTable[Math.floor(position / BLOCK_SIZE)] ?? 0;
      tokenIds.push(tokenId);
      tokenRows.push(position, sequence, block * BLOCK_SIZE + position % BLOCK_SIZE);
    });
    if (tileRows === 0 || numTokens === 1) {
      for (let i = 0; i < numTokens; i++) decodeRows.push(firstRow + i);
    } else {
      for (let i = 0; i < numTokens; i += tileRows) {
        const rows = Math.min(tileRows, numTokens - i);
        tiles.push(firstRow + i, rows, slice.startPosition + i, sequence);
      }
    }
    if (numTokens >= chunkRows) {
      for (let i = 0; i < numTokens; i += chunkRows) {
        chunks.push(firstRow + i, Math.min(chunkRows, numTokens - i));
      }
    }
    if (slice.sample === undefined) return;
    const firstSample = sampleRows.length;
    for (let i = slice.sample.wantsLogits ? 0 : numTokens - 1; i < numTokens; i++) {
      sampleRows.push(firstRow + i);
      sampleRequests.push(i === numTokens - 1 ? slice.sample : UNDRAWN);
    }
    sampled.push({ slice, firstRow: firstSample, endRow: sampleRows.length });
  });
  const shape = {
    numTokens: tokenIds.length,
    numSamples: sampleRows.length,
    numDecodeRows: decodeRows.length,
    numTiles: tiles.length / 4,
    numSlices: batch.slices.length,
    numChunks: chunks.length / 2,
  };
  checkShape(batch, shape, limits);
  return {
    shape,
    tokenIds: Uint32Array.from(tokenIds),
    tokenRows: Uint32Array.from(tokenRows),
    blockTables,
    decodeRows: Uint32Array.from(decodeRows),
    tiles: Uint32Array.from(tiles),
    sampleRows: Uint32Array.from(sampleRows),
    slices: Uint32Array.from(slices),
    chunks: Uint32Array.from(chunks),
    ...stateLists(batch, limits),
    blockCopies: listOf(
      batch.slices.flatMap(({ blockCopy: copy }) => copy ? [[copy.from, copy.to]] : []),
    ),
    takenTokens: listOf(takenTokens),
    drawnTokens: listOf(sampled.map(({ slice, endRow }) => [endRow - 1, slice.slot])),
    sampleRequests,
    sampled,
  };
}

/** Restores and saves are done by the slice, all restores before the layers, all saves after them. */
function stateLists(
  { slices }: Batch,
  { maxSequences }: StageLimits,
): Pick<BatchLayout, "stateRestores" | "stateSaves"> {
  const restores: IndexPair[] = [];
  const saves: IndexPair[] = [];
  for (const { slot, stateMoves: { restoreFrom, saveTo } = {} } of slices) {
    if (restoreFrom !== undefined) restores.push([maxSequences + restoreFrom, slot]);
    if (saveTo !== undefined) saves.push([slot, maxSequences + saveTo]);
  }
  return { stateRestores: listOf(restores), stateSaves: listOf(saves) };
}

function listOf(pairs: readonly IndexPair[]): Uint32Array<ArrayBuffer> | null {
  return pairs.length > 0 ? packPairs(pairs) : null;
}

function checkSlice(slice: BatchSlice, limits: StageLimits): void {
  const { sequenceId, slot, startPosition, tokenIds, blockTable, blockCopy } = slice;
  const end = startPosition + tokenIds.length;
  const fail = (problem: string): never => {
    throw new RangeError(`Sequence ${sequenceId} does not fit the stage: ${problem}`);
  };
  if (tokenIds.length === 0) fail("its slice is empty");
  if (end > limits.maxModelLength) {
    fail(`it ends at ${end}, and the longest is ${limits.maxModelLength}`);
  }
  if (blockTable.length !== Math.ceil(end / BLOCK_SIZE)) {
    fail(`it has ${blockTable.length} blocks for ${end} tokens`);
  }
  const blocks = blockCopy ? [...blockTable, blockCopy.from, blockCopy.to] : blockTable;
  const stray = blocks.find((block) => block >= limits.numBlocks);
  if (stray !== undefined) fail(`block ${stray} is outside the pool of ${limits.numBlocks}`);
  if (slot >= limits.maxSequences) fail(`slot ${slot} is outside those of ${limits.maxSequences}`);
  if (slice.takesDrawn && tokenIds.length !== 1) fail("it takes one drawn token for several");
  if (slice.stateMoves !== undefined) checkMoves(slice.stateMoves, limits, fail);
}

function checkMoves(
  { restoreFrom, saveTo }: StateMoves,
  { numSavedStates }: StageLimits,
  fail: (problem: string) => never,
): void {
  if (numSavedStates === 0) fail("its states move, and the model has none");
  const stray = [restoreFrom, saveTo].find((state) =>
    state !== undefined && state >= numSavedStates
  );
  if (stray !== undefined) fail(`saved state ${stray} is outside those of ${numSavedStates}`);
}

function checkShape(batch: Batch, shape: BatchShape, limits: StageLimits): void {
  const fits = shape.numTokens <= limits.maxBatchTokens &&
    batch.slices.length <= limits.maxSequences &&
    shape.numSamples <= limits.maxSamples;
  const numSlots = new Set(batch.slices.map(({ slot }) => slot)).size;
  if (fits && numSlots < batch.slices.length) {
    throw new RangeError(`Batch ${batch.stepId} has two sequences in one slot`);
  }
  if (fits && shape.numTokens > 0) return;
  throw new RangeError(
    `Batch ${batch.stepId} has ${shape.numTokens} tokens, ${batch.slices.length} sequences and ` +
      `${shape.numSamples} sampled rows; the stage takes 1 to ${limits.maxBatchTokens}, ` +
      `${limits.maxSequences} and ${limits.maxSamples}`,
  );
}
