/**
 * A sequence between its arrival and its end, and the next slice of it that a batch runs.
 *
 * @module
 */
import type { BatchSlice, FinishReason, SamplingParams, Sequence } from "../core.ts";
import { numBlocksFor } from "./block_manager.ts";
import { hasPenalty, TokenCounts } from "./token_counts.ts";

/** A sequence with what only the scheduler needs to know. */
export interface LiveSequence extends Sequence {
  /** The step that runs its latest slice, or null while nothing of it is in flight. */
  inFlightStepId: number | null;
  /** For the penalties; null when none is on. */
  readonly tokenCounts: TokenCounts | null;
}

/** A sequence that has just arrived: nothing cached, no blocks. Copies the prompt. */
export function createLiveSequence(
  id: number,
  { promptTokenIds, sampling }: {
    readonly promptTokenIds: readonly number[];
    readonly sampling: SamplingParams;
  },
): LiveSequence {
  return {
    id,
    sampling,
    numPromptTokens: promptTokenIds.length,
    tokenIds: [...promptTokenIds],
    numCachedTokens: 0,
    blockTable: [],
    inFlightStepId: null,
    tokenCounts: hasPenalty(sampling) ? new TokenCounts(promptTokenIds) : null,
  };
}

/** Tokens whose K and V are not in the cache yet: 1 in decoding, never 0. */
export function numUncachedTokens(sequence: Sequence): number {
  return sequence.tokenIds.length - sequence.numCachedTokens;
}

/**
 * The next tokens to run, at most `maxTokens`. Asks for a sample when they reach the newest one.
 * The block table must cover them already.
 */
export function nextSlice(sequence: LiveSequence, maxTokens: number): BatchSlice {
  const { id, tokenIds, numCachedTokens, blockTable } = sequence;
  const endPosition = Math.min(tokenIds.length, numCachedTokens + maxTokens);
  const slice: BatchSlice = {
    sequenceId: id,
    startPosition: numCachedTokens,
    tokenIds: Uint32Array.from(tokenIds.slice(numCachedTokens, endPosition)),
    blockTable: Uint32Array.from(blockTable.slice(0, numBlocksFor(endPosition))),
  };
  return endPosition < tokenIds.length ? slice : { ...slice, sample: sampleRequest(sequence) };
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
  const { sampling, tokenIds, numPromptTokens, tokenCounts } = sequence;
  const { temperature, topP, topK, minP, seed } = sampling;
  const tokenIndex = tokenIds.length - numPromptTokens;
  const request = { temperature, topP, topK, minP, seed, tokenIndex };
  return tokenCounts === null
    ? request
    : { ...request, penalties: tokenCounts.toRequest(sampling) };
}
