/**
 * What is true of a scheduler between any two of its calls. Run in every test after each step.
 *
 * @module
 */
import { type Batch, numBatchTokens, type TokenOutput } from "../core.ts";
import { numBlocksFor } from "./block_manager.ts";
import type { LiveSequence } from "./live_sequence.ts";
import type { BatchInFlight } from "./open_batch.ts";
import { compareRunning } from "./waiting_queue.ts";

/** Throws an Error that names the first sequence that is not where it should be. */
export function checkQueues({ running, waiting }: {
  readonly running: readonly LiveSequence[];
  readonly waiting: readonly LiveSequence[];
}): void {
  const numSequences = running.length + waiting.length;
  assert(new Set([...running, ...waiting]).size === numSequences, "A sequence is queued twice");
  for (const [i, sequence] of running.slice(1).entries()) {
    const before = running[i]!;
    assert(
      compareRunning(before, sequence) < 0,
      `Sequence "${before.id}" runs before "${sequence.id}"`,
    );
  }
  for (const sequence of waiting) checkWaiting(sequence);
}

/** Throws an Error unless batches in flight and sequences that run know the same of each other. */
export function checkInFlight({ running, inFlight, maxBatchTokens }: {
  readonly running: readonly LiveSequence[];
  readonly inFlight: ReadonlyMap<number, BatchInFlight>;
  readonly maxBatchTokens: number;
}): void {
  for (const sequence of running) checkRunning(sequence, inFlight);
  for (const { batch } of inFlight.values()) {
    const numTokens = numBatchTokens(batch);
    assert(numTokens <= maxBatchTokens, `Step "${batch.stepId}" has ${numTokens} tokens`);
  }
}

/** Throws unless there is one token for each slice that asked for it, in the same order. */
export function checkDrawn(batch: Batch, tokens: readonly TokenOutput[]): void {
  const wanted = batch.slices.filter((slice) => slice.sample !== undefined);
  const wantedIds = wanted.map((slice) => slice.sequenceId).join();
  const drawnIds = tokens.map((token) => token.sequenceId).join();
  if (wantedIds === drawnIds) return;
  throw new Error(
    `Step "${batch.stepId}" drew tokens of sequences "${drawnIds}" instead of "${wantedIds}"`,
  );
}

function checkWaiting(sequence: LiveSequence): void {
  const { id, numCachedTokens, numScheduledTokens, blockTable, slot, reservedStates } = sequence;
  assert(
    numCachedTokens === 0 && numScheduledTokens === 0 && blockTable.length === 0 &&
      slot === null && reservedStates.length === 0,
    `Sequence "${id}" waits with ${blockTable.length} blocks, ${numScheduledTokens} tokens, ` +
      `slot "${slot}" and ${reservedStates.length} states`,
  );
}

function checkRunning(
  sequence: LiveSequence,
  inFlight: ReadonlyMap<number, BatchInFlight>,
): void {
  const { id, tokenIds, blockTable, numCachedTokens, numScheduledTokens, numPendingDraws } =
    sequence;
  assert(
    numScheduledTokens < tokenIds.length + Math.max(1, numPendingDraws),
    `Sequence "${id}" of ${tokenIds.length} tokens has run ${numScheduledTokens}`,
  );
  const numNeeded = numBlocksFor(numScheduledTokens);
  assert(
    blockTable.length >= numNeeded && blockTable.length <= numBlocksFor(tokenIds.length + 1),
    `Sequence "${id}" has ${blockTable.length} blocks for ${tokenIds.length} tokens`,
  );
  let position = numCachedTokens;
  for (const { batch, runs } of inFlight.values()) {
    batch.slices.forEach((slice, i) => {
      if (slice.sequenceId !== id || runs[i] !== sequence.run) return;
      assert(slice.startPosition === position, `Sequence "${id}" skips position ${position}`);
      position += slice.tokenIds.length;
    });
  }
  assert(
    position === numScheduledTokens,
    `Sequence "${id}" runs up to ${position} instead of ${numScheduledTokens}`,
  );
}

function assert(isTrue: boolean, message: string): asserts isTrue {
  if (!isTrue) throw new Error(message);
}
