/**
 * What is true of a scheduler between any two of its calls. Run in every test after each step.
 *
 * @module
 */
import { type Batch, BLOCK_SIZE, numBatchTokens, type TokenOutput } from "../core.ts";
import { type BlockManager, numBlocksFor } from "./block_manager.ts";
import type { FairShare } from "./fair_share.ts";
import type { LiveSequence } from "./live_sequence.ts";
import type { PrefixCache } from "./prefix_cache.ts";
import type { SlotPool } from "./slot_pool.ts";
import { comparePriority } from "./waiting_queue.ts";

/** A batch that stages are running. */
export interface BatchInFlight {
  readonly batch: Batch;
  /** For each slice, the run of its sequence that it belongs to. */
  readonly runs: readonly number[];
}

/** A scheduler's state, laid open. */
export interface SchedulerState {
  readonly options: { readonly maxBatchTokens: number; readonly maxSequences: number };
  readonly blocks: BlockManager;
  readonly cache: PrefixCache;
  readonly slots: SlotPool;
  readonly share: FairShare;
  readonly sequences: ReadonlyMap<number, LiveSequence>;
  readonly running: readonly LiveSequence[];
  readonly waiting: readonly LiveSequence[];
  readonly inFlight: ReadonlyMap<number, BatchInFlight>;
}

/** Throws an Error that names the first broken invariant. */
export function checkIntegrity(state: SchedulerState): void {
  const { options, running, waiting, cache, slots, share } = state;
  checkQueues(state);
  cache.checkIntegrity(
    running.map(({ blockTable }) => blockTable),
    running.flatMap(({ reservedStates }) => reservedStates),
  );
  slots.checkIntegrity(running.map(({ slot }) => slot!));
  share.checkIntegrity([...running, ...waiting].map(({ terms }) => terms.clientId));
  for (const sequence of waiting) checkWaiting(sequence);
  for (const sequence of running) checkRunning(sequence, state);
  for (const { batch } of state.inFlight.values()) {
    const numTokens = numBatchTokens(batch);
    assert(numTokens <= options.maxBatchTokens, `Step "${batch.stepId}" has ${numTokens} tokens`);
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

function checkQueues({ options, sequences, running, waiting }: SchedulerState): void {
  const queued = new Set([...running, ...waiting]);
  assert(
    queued.size === running.length + waiting.length && queued.size === sequences.size &&
      [...queued].every((sequence) => sequences.get(sequence.id) === sequence),
    `${running.length} running and ${waiting.length} waiting are not the ${sequences.size} alive`,
  );
  assert(running.length <= options.maxSequences, `${running.length} sequences are running`);
  for (const [i, sequence] of running.slice(1).entries()) {
    const before = running[i]!;
    const order = comparePriority(before, sequence) || before.rank! - sequence.rank!;
    assert(order < 0, `Sequence "${before.id}" runs before "${sequence.id}"`);
  }
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

function checkRunning(sequence: LiveSequence, { blocks, inFlight }: SchedulerState): void {
  const { id, tokenIds, numCachedTokens, numScheduledTokens, numPendingDraws } = sequence;
  const { blockTable, prefixNode } = sequence;
  assert(
    numScheduledTokens < tokenIds.length + Math.max(1, numPendingDraws),
    `Sequence "${id}" of ${tokenIds.length} tokens has run ${numScheduledTokens}`,
  );
  const numNeeded = numBlocksFor(numScheduledTokens);
  assert(
    blockTable.length >= numNeeded && blockTable.length <= numBlocksFor(tokenIds.length + 1),
    `Sequence "${id}" has ${blockTable.length} blocks for ${tokenIds.length} tokens`,
  );
  const numComplete = Math.floor(numCachedTokens / BLOCK_SIZE);
  assert(
    prefixNode.depth <= numComplete,
    `Sequence "${id}" shares ${prefixNode.depth} blocks of ${numComplete} complete ones`,
  );
  for (const block of blockTable.slice(numComplete)) {
    assert(blocks.numReferences(block) === 1, `Sequence "${id}" writes to shared block "${block}"`);
  }
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
