/**
 * What is true of a scheduler between any two of its calls. Run in every test after each step.
 *
 * @module
 */
import { type Batch, numBatchTokens } from "../core.ts";
import { type BlockManager, numBlocksFor } from "./block_manager.ts";
import { type LiveSequence, numUncachedTokens } from "./live_sequence.ts";

/** A scheduler's state, laid open. */
export interface SchedulerState {
  readonly options: { readonly maxBatchTokens: number; readonly maxSequences: number };
  readonly blocks: BlockManager;
  readonly sequences: ReadonlyMap<number, LiveSequence>;
  readonly running: readonly LiveSequence[];
  readonly waiting: readonly LiveSequence[];
  readonly inFlight: ReadonlyMap<number, Batch>;
}

/** Throws an Error that names the first broken invariant. */
export function checkIntegrity(state: SchedulerState): void {
  const { options, blocks, running, waiting } = state;
  blocks.checkIntegrity(running.map((sequence) => sequence.blockTable));
  checkQueues(state);
  assert(running.length <= options.maxSequences, `${running.length} sequences are running`);
  for (const sequence of waiting) checkWaiting(sequence);
  for (const sequence of running) checkRunning(sequence, state);
  for (const batch of state.inFlight.values()) {
    const numTokens = numBatchTokens(batch);
    assert(numTokens <= options.maxBatchTokens, `Step "${batch.stepId}" has ${numTokens} tokens`);
  }
}

function checkQueues({ sequences, running, waiting }: SchedulerState): void {
  const ids = [...running, ...waiting].map((sequence) => sequence.id);
  assert(ids.every((id, i) => i === 0 || ids[i - 1]! < id), `Queues out of order: "${ids}"`);
  assert(
    ids.length === sequences.size && ids.every((id) => sequences.has(id)),
    `Queues hold "${ids}" but "${[...sequences.keys()]}" are alive`,
  );
}

function checkWaiting({ id, numCachedTokens, blockTable, inFlightStepId }: LiveSequence): void {
  assert(
    numCachedTokens === 0 && blockTable.length === 0 && inFlightStepId === null,
    `Sequence "${id}" waits with ${blockTable.length} blocks, step "${inFlightStepId}"`,
  );
}

function checkRunning(sequence: LiveSequence, { inFlight }: SchedulerState): void {
  const { id, tokenIds, numCachedTokens, blockTable, inFlightStepId } = sequence;
  assert(numUncachedTokens(sequence) >= 1, `Sequence "${id}" has nothing left to run`);
  // The newest token may still be without its block; all others have theirs.
  assert(
    blockTable.length === numBlocksFor(tokenIds.length) ||
      blockTable.length === numBlocksFor(tokenIds.length - 1),
    `Sequence "${id}" has ${blockTable.length} blocks for ${tokenIds.length} tokens`,
  );
  if (inFlightStepId === null) return;
  const slice = inFlight.get(inFlightStepId)?.slices.find((slice) => slice.sequenceId === id);
  assert(slice !== undefined, `Sequence "${id}" is not in its step "${inFlightStepId}"`);
  assert(
    slice.startPosition === numCachedTokens,
    `Sequence "${id}" runs from ${slice.startPosition} with ${numCachedTokens} cached`,
  );
}

function assert(isTrue: boolean, message: string): asserts isTrue {
  if (!isTrue) throw new Error(message);
}
