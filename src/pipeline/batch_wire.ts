/**
 * How a batch travels. A frame's payload is
 *
 *     u32 metaBytes | meta [metaBytes] | u32 token ids [numTokens]         to the first stage
 *     u32 metaBytes | meta [metaBytes] | hidden states [numTokens, hidden] to the others
 *
 * and the meta part, the same for every stage, is all u32 but for f64 options:
 *
 *     numSlices | slice [numSlices]
 *     slice   = sequenceId | sliceIndex | slot | startPosition | numTokens | flags
 *             | numKeptBlocks | numNewBlocks | block [numNewBlocks]
 *             | from block | to block, if HAS_BLOCK_COPY
 *             | saved state, if RESTORES_STATE | saved state, if SAVES_STATE
 *             | sample, if HAS_SAMPLE
 *     sample  = tokenIndex | options, if HAS_OPTIONS | penalties, if HAS_PENALTIES
 *     options = temperature | topP | minP (f64) | topK | seed
 *             | presence | frequency | repetition (f64), if HAS_PENALTIES
 *     penalties = numChanged | (tokenId, outputCount) [numChanged]
 *
 * Stages remember block tables, options and token counts of a sequence, so that a decode carries
 * what changed and nothing else. A slice builds on those before it: `sliceIndex` counts them, so
 * that a stage notices when it missed one. Slice 0 brings everything. A token id is 0 where the
 * slice takes the token that was drawn last.
 *
 * @module
 */

/** The slice ends at the newest known token. */
export const HAS_SAMPLE = 1;
/** The sampling options come along; else those of the sequence's last slice with them hold. */
export const HAS_OPTIONS = 2;
/** Penalties are on. */
export const HAS_PENALTIES = 4;
/** The token counts start from nothing; else they are changes to the last ones. */
export const RESTARTS_COUNTS = 8;
/** All logits of the slice are wanted. */
export const WANTS_LOGITS = 16;
/** The slice's one token is what the stage drew last in the slot. */
export const TAKES_DRAWN = 32;
/** A block is copied before the batch. */
export const HAS_BLOCK_COPY = 64;
/** A saved state is what the slice starts from. */
export const RESTORES_STATE = 128;
/** The state after the slice is saved. */
export const SAVES_STATE = 256;

/** Flags that have a meaning. */
export const ALL_FLAGS = HAS_SAMPLE | HAS_OPTIONS | HAS_PENALTIES | RESTARTS_COUNTS |
  WANTS_LOGITS | TAKES_DRAWN | HAS_BLOCK_COPY | RESTORES_STATE | SAVES_STATE;
