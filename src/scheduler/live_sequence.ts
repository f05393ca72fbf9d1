/**
 * A sequence between its arrival and its end, and the next slice of it that a batch runs.
 *
 * @module
 */
import type { BatchSlice, BlockCopy, FinishReason, SamplingParams, Sequence } from "../core.ts";
import { numBlocksFor } from "./block_manager.ts";
import type { PrefixHolder } from "./prefix_cache.ts";
import { createRoot } from "./radix_node.ts";
import type { SequenceTerms } from "./sequence_terms.ts";
import { hasPenalty, TokenCounts } from "./token_counts.ts";

/** A sequence with what only the scheduler needs to know. */
export interface LiveSequence extends Sequence, PrefixHolder {
  readonly blockTable: number[];
  readonly tokenIds: number[];
  readonly terms: SequenceTerms;
  /** For the penalties; null when none is on. */
  readonly tokenCounts: TokenCounts | null;
  /** Order of first admissions: the lower, the later it is preempted. Null before. */
  rank: number | null;
  /** Prompt tokens that were cached when it first ran. */
  numPrefixTokens: number;
  /** Counts its admissions. What an earlier run left in flight means nothing to a later one. */
  run: number;
  /** Null while it waits. */
  slot: number | null;
  /** Tokens that steps have computed or are computing; at least `numCachedTokens`. */
  numScheduledTokens: number;
  /** Steps in flight that draw a token of it. */
  numPendingDraws: number;
  /** To go with the first slice of a run. */
  first: { readonly blockCopy: BlockCopy | null; readonly restoreFrom: number | null };
  /** Saved states that steps in flight write, oldest first. */
  readonly reservedStates: number[];
}

const NOTHING_FIRST = { blockCopy: null, restoreFrom: null } as const;

/** A sequence that has just arrived: nothing cached, no blocks. Copies the prompt. */
export function createLiveSequence(
  id: number,
  { promptTokenIds, sampling, terms }: {
    readonly promptTokenIds: readonly number[];
    readonly sampling: SamplingParams;
    readonly terms: SequenceTerms;
  },
): LiveSequence {
  return {
    ...idleState(),
    ...{ id, sampling, terms },
    numPromptTokens: promptTokenIds.length,
    tokenIds: [...promptTokenIds],
    blockKeys: [],
    blockTable: [],
    tokenCounts: hasPenalty(sampling) ? new TokenCounts(promptTokenIds) : null,
    rank: null,
    numPrefixTokens: 0,
    run: 0,
    reservedStates: [],
  };
}

/** Lets a sequence run, with blocks of which the first `numCachedTokens` positions are there. */
export function startRun(
  sequence: LiveSequence,
  state: Pick<LiveSequence, "slot" | "prefixNode" | "numCachedTokens" | "first">,
): void {
  Object.assign(sequence, state);
  sequence.numScheduledTokens = state.numCachedTokens;
}

/** Nothing is cached and nothing in flight counts any more. */
export function endRun(sequence: LiveSequence): void {
  Object.assign(sequence, idleState());
  sequence.run++;
}

function idleState() {
  return {
    slot: null,
    numCachedTokens: 0,
    numScheduledTokens: 0,
    numPendingDraws: 0,
    first: NOTHING_FIRST,
    prefixNode: createRoot(),
  };
}

/** Known tokens that no step has been given yet. */
export function numUnscheduledTokens(sequence: LiveSequence): number {
  return sequence.tokenIds.length - sequence.numScheduledTokens;
}

/**
 * Whether a step can run the token that a step in flight draws, before anyone knows it: unless its
 * penalties count it, or the sequence ends with it for its length.
 */
export function canRunAhead(
  sequence: LiveSequence,
  { maxModelLength }: { readonly maxModelLength: number },
): boolean {
  const { tokenIds, numPromptTokens, numPendingDraws, sampling, tokenCounts } = sequence;
  const length = tokenIds.length + 1;
  return numPendingDraws === 1 && numUnscheduledTokens(sequence) === 0 && tokenCounts === null &&
    length - numPromptTokens < sampling.maxTokens && length < maxModelLength;
}

/**
 * The next tokens to run, up to position `endPosition`: known ones, or the one that is being drawn.
 * Asks for a sample when they reach the newest one. The block table must cover them already.
 */
export function nextSlice(sequence: LiveSequence, endPosition: number): BatchSlice {
  const { id, slot, tokenIds, numScheduledTokens: startPosition, blockTable, first } = sequence;
  const takesDrawn = startPosition === tokenIds.length;
  return {
    sequenceId: id,
    slot: slot!,
    startPosition,
    tokenIds: takesDrawn
      ? Uint32Array.of(0)
      : Uint32Array.from(tokenIds.slice(startPosition, endPosition)),
    blockTable: Uint32Array.from(blockTable.slice(0, numBlocksFor(endPosition))),
    ...(takesDrawn && { takesDrawn }),
    ...(first.blockCopy !== null && { blockCopy: first.blockCopy }),
    ...(endPosition >= tokenIds.length && { sample: sampleRequest(sequence) }),
  };
}

/** Notes that a step runs `slice`. */
export function markScheduled(sequence: LiveSequence, slice: BatchSlice): void {
  sequence.numScheduledTokens += slice.tokenIds.length;
  if (slice.sample !== undefined) sequence.numPendingDraws++;
  sequence.first = NOTHING_FIRST;
}

/** Notes that a step has run `slice`. */
export function markComputed(sequence: LiveSequence, slice: BatchSlice): void {
  sequence.numCachedTokens += slice.tokenIds.length;
  if (slice.sample !== undefined) sequence.numPendingDraws--;
}

/**
 * Takes in a drawn token. Returns why the sequence ends with it, or null to go on. A stop token is
 * not appended: it is no part of the output.
 */
export function appendToken(
  sequence: LiveSequence,
  { tokenId, maxModelLength }: { readonly tokenId: number; readonly maxModelLength: number },
): FinishReason | null {
  const { sampling, tokenIds, numPromptTokens } = sequence;
  if (sampling.stopTokenIds.includes(tokenId)) return "stop";
  tokenIds.push(tokenId);
  sequence.tokenCounts?.add(tokenId);
  const isFull = tokenIds.length - numPromptTokens >= sampling.maxTokens ||
    tokenIds.length >= maxModelLength;
  return isFull ? "length" : null;
}

function sampleRequest(sequence: LiveSequence): NonNullable<BatchSlice["sample"]> {
  const { sampling, tokenIds, numPromptTokens, numPendingDraws, tokenCounts } = sequence;
  const { temperature, topP, topK, minP, seed } = sampling;
  const tokenIndex = tokenIds.length + numPendingDraws - numPromptTokens;
  const request = { temperature, topP, topK, minP, seed, tokenIndex };
  return tokenCounts === null
    ? request
    : { ...request, penalties: tokenCounts.toRequest(sampling) };
}
