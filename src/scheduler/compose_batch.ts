/**
 * What the next step runs: decodes first, so that no prompt stalls a stream, then prompts.
 *
 * @module
 */
import { BLOCK_SIZE, type Priority } from "../core.ts";
import { canRunAhead, type LiveSequence, numUnscheduledTokens } from "./live_sequence.ts";
import { OpenBatch } from "./open_batch.ts";
import { blockKey, type PrefixMatch } from "./prefix_cache.ts";
import type { Queues } from "./queues.ts";

/** What a batch may hold. */
export interface BatchRules {
  readonly maxBatchTokens: number;
  /** Most tokens of one sequence. */
  readonly maxModelLength: number;
  /** Batches among which decodes are shared out, so that no stage idles. */
  readonly numMicroBatches: number;
  /** Tokens that a batch in flight draws can be run. */
  readonly isAhead: boolean;
}

/** Newcomers that one step passes over because their prefix is being computed. */
const MAX_PASSED_OVER = 16;

/** Fills a batch from the queues, preempting where it must; null when nothing can run. */
export function composeBatch(queues: Queues, rules: BatchRules): OpenBatch | null {
  if (rules.isAhead && mustWaitForTokens(queues)) return null;
  yieldToInteractive(queues);
  const batch = new OpenBatch(queues.memory, rules.maxBatchTokens);
  addDecodes(batch, queues, rules);
  for (const priority of ["interactive", "batch"] as const) {
    addPrefills(batch, queues, priority);
    addNewcomers(batch, queues, priority);
  }
  return batch.numSlices === 0 ? null : batch;
}

/**
 * Whether a sequence in flight cannot go on before its token is known. Going ahead without it would
 * split those that run into two batches that take turns, at the price of two steps a token.
 */
function mustWaitForTokens({ running }: Queues): boolean {
  return running.some(({ numPendingDraws, tokenCounts }) =>
    numPendingDraws > 0 && tokenCounts !== null
  );
}

/**
 * Preempts batch jobs, newest first, where an interactive sequence has no room beside them but would
 * have in place of all of them.
 */
function yieldToInteractive(queues: Queues): void {
  const { memory, waiting } = queues;
  const next = waiting.next();
  if (next === null || next.terms.priority === "batch") return;
  const victims = queues.running.filter(({ terms }) => terms.priority === "batch");
  const numSpareBlocks = queues.running.length - victims.length;
  if (!memory.fits(next, memory.match(next), { numSpareBlocks, victims })) return;
  for (const victim of victims.reverse()) {
    if (fits(queues, next, memory.match(next))) return;
    queues.preempt(victim);
  }
}

/** Decodes, in the order of running; no more than this micro-batch's share. */
function addDecodes(batch: OpenBatch, queues: Queues, rules: BatchRules): void {
  const { running } = queues;
  const maxDecodes = Math.ceil(running.length / rules.numMicroBatches);
  // Preemption takes from the end of the list, so the loop sees it shrink but never skips.
  for (let i = 0; i < running.length && batch.numSlices < maxDecodes; i++) {
    const sequence = running[i]!;
    const isReady = numUnscheduledTokens(sequence) === 1 ||
      rules.isAhead && canRunAhead(sequence, rules);
    if (isReady && makeRoom(queues, sequence)) batch.add(sequence);
  }
}

/** Further chunks of prompts that have begun. Their blocks are there already. */
function addPrefills(batch: OpenBatch, { running }: Queues, priority: Priority): void {
  for (const sequence of running) {
    if (batch.isFull) return;
    const isWanted = sequence.terms.priority === priority;
    if (isWanted && numUnscheduledTokens(sequence) > 1) batch.add(sequence);
  }
}

/**
 * Admits waiting sequences while all of their known tokens fit in blocks. Nobody overtakes one that
 * does not fit, so that it will.
 */
function addNewcomers(batch: OpenBatch, queues: Queues, priority: Priority): void {
  const passedOver = new Set<LiveSequence>();
  while (!batch.isFull && passedOver.size < MAX_PASSED_OVER) {
    const next = queues.waiting.next(passedOver);
    if (next === null || next.terms.priority !== priority) return;
    const match = queues.memory.match(next);
    if (!fits(queues, next, match)) return;
    if (isPrefixComing(queues, next, match)) {
      passedOver.add(next);
      continue;
    }
    queues.admit(next, match);
    batch.add(next);
  }
}

/**
 * One block is left for each running sequence: it will ask for it within 16 tokens, and taking it
 * back from the newcomer would waste the newcomer's prefill.
 */
function fits({ memory, running }: Queues, sequence: LiveSequence, match: PrefixMatch): boolean {
  return memory.fits(sequence, match, { numSpareBlocks: running.length });
}

/** A running sequence is computing the block that `next` needs next: it need not be done twice. */
function isPrefixComing({ running }: Queues, next: LiveSequence, { node }: PrefixMatch): boolean {
  const numBlocks = node.depth + 1;
  if (numBlocks * BLOCK_SIZE >= next.tokenIds.length) return false;
  return running.some((sequence) =>
    sequence.numCachedTokens < sequence.numPromptTokens &&
    sequence.terms.cacheSalt === next.terms.cacheSalt &&
    sequence.tokenIds.length >= numBlocks * BLOCK_SIZE &&
    hasSameBlocks(sequence, next, numBlocks)
  );
}

/** Compares from the end: prompts that differ mostly differ there. */
function hasSameBlocks(a: LiveSequence, b: LiveSequence, numBlocks: number): boolean {
  for (let index = numBlocks - 1; index >= 0; index--) {
    if (blockKey(a, index) !== blockKey(b, index)) return false;
  }
  return true;
}

/**
 * Gets the block that a sequence's next token needs, preempting the newest sequences for it. False
 * when the sequence is itself the newest.
 */
function makeRoom(queues: Queues, sequence: LiveSequence): boolean {
  while (!queues.memory.grow(sequence)) {
    const newest = queues.running.at(-1)!;
    queues.preempt(newest);
    if (newest === sequence) return false;
  }
  return true;
}
