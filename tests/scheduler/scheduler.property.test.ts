import { expect, test } from "vitest";
import fc from "fast-check";
import type { Batch, BatchSlice, SamplingParams } from "../../src/core.ts";
import { BLOCK_SIZE } from "../../src/core.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { SequenceTerms } from "../../src/scheduler/sequence_terms.ts";
import { VOCAB_SIZE } from "../pipeline/hash_chain.ts";
import { limits, prompt, sampling, terms } from "./arbitraries.ts";

/** A sequence as the test sees it. */
interface Watched {
  readonly prompt: readonly number[];
  readonly sampling: SamplingParams;
  readonly terms: SequenceTerms;
  readonly tokenIds: number[];
}

const command = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ verb: fc.constant("add" as const), prompt, sampling, terms }),
  },
  { weight: 6, arbitrary: fc.record({ verb: fc.constant("schedule" as const) }) },
  { weight: 6, arbitrary: fc.record({ verb: fc.constant("update" as const) }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant("abort" as const), choice: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant("fail" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constant("lose" as const),
      numBlocks: fc.option(fc.integer({ min: 1, max: 16 })),
    }),
  },
);

test("any order of calls keeps every promise of a batch, and all sequences come to an end", () => {
  const reached = { preemptions: 0, hits: 0, copies: 0, ahead: 0, restores: 0 };
  fc.assert(
    fc.property(limits, fc.array(command, { maxLength: 150, size: "max" }), (limits, commands) => {
      const { numMicroBatches, ...options } = limits;
      const scheduler = new Scheduler(options);
      const watched = new Map<number, Watched>();
      const inFlight: Batch[] = [];
      const newStage = () => new TextStage((limits.numSavedStates ?? 0) > 0);
      let stage = newStage();

      const schedule = () => {
        const batch = scheduler.schedule(numMicroBatches);
        if (batch === null) return false;
        checkBatch(batch, { watched, maxBatchTokens: options.maxBatchTokens });
        for (const slice of batch.slices) {
          reached.copies += Number(slice.blockCopy !== undefined);
          reached.ahead += Number(slice.takesDrawn ?? false);
          reached.restores += Number(slice.stateMoves?.restoreFrom !== undefined);
        }
        stage.run(batch, watched);
        inFlight.push(batch);
        return true;
      };
      const update = () => {
        const batch = inFlight.shift();
        if (batch === undefined) return;
        const tokens = batch.slices.filter((slice) => slice.sample !== undefined)
          .map(({ sequenceId, sample }) => ({
            sequenceId,
            tokenId: drawnToken(sequenceId, sample!.tokenIndex),
          }));
        for (const update of scheduler.update(batch, tokens)) {
          const sequence = watched.get(update.sequenceId)!;
          if (update.numCachedTokens > 0) reached.hits++;
          if (update.tokenId !== null) sequence.tokenIds.push(update.tokenId);
          if (update.finishReason !== null) watched.delete(update.sequenceId);
        }
      };
      const run = (step: typeof commands[number]) => {
        switch (step.verb) {
          case "add": {
            if (step.prompt.length >= scheduler.maxModelLength) return;
            const { prompt, sampling, terms } = step;
            const id = scheduler.add(prompt, sampling, terms);
            watched.set(id, { prompt, sampling, terms, tokenIds: [] });
            return;
          }
          case "schedule":
            // As many as an engine would have in flight.
            if (inFlight.length < Math.max(2, numMicroBatches)) schedule();
            return;
          case "update":
            update();
            return;
          case "abort": {
            const ids = [...watched.keys()];
            const id = ids[step.choice % ids.length];
            if (id === undefined) return;
            expect(scheduler.abort(id)).toBe(true);
            watched.delete(id);
            return;
          }
          case "fail": {
            const batch = inFlight.shift();
            if (batch === undefined) return;
            for (const id of scheduler.fail(batch)) expect(watched.delete(id)).toBe(true);
            return;
          }
          case "lose":
            for (const batch of inFlight.splice(0)) scheduler.takeBack(batch);
            scheduler.checkIntegrity();
            stage = newStage();
            for (const id of scheduler.restart(step.numBlocks ?? undefined)) watched.delete(id);
        }
      };

      for (const step of commands) {
        run(step);
        scheduler.checkIntegrity();
      }
      // The calm after: whatever is left runs to its end, and never is there nothing to do.
      for (let numSteps = 0; watched.size > 0 || inFlight.length > 0; numSteps++) {
        expect(numSteps).toBeLessThan(20_000);
        if (!schedule()) expect(inFlight.length).toBeGreaterThan(0);
        update();
        scheduler.checkIntegrity();
      }
      const { numPreemptions, numBlocks, ...left } = scheduler.stats();
      reached.preemptions += numPreemptions;
      expect(left).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeBlocks: numBlocks });
    }),
    { numRuns: 400 },
  );
  expect(Object.entries(reached).filter(([, count]) => count < 20)).toEqual([]);
});

/** What any sequence draws, so that tokens are known before they are. */
function drawnToken(sequenceId: number, tokenIndex: number): number {
  return (sequenceId * 31 + tokenIndex * 17 + 5) % VOCAB_SIZE;
}

/**
 * A stage whose K, V and states are the text that they depend on, which every slice must find again.
 * It runs a batch as soon as it is scheduled: the order is that of the batches in any case.
 */
class TextStage {
  /** By position in the pool: salt and all tokens up to the slot's. */
  readonly #slots = new Map<number, string>();
  readonly #states = new Map<string, string>();
  readonly #hasStates: boolean;

  constructor(hasStates: boolean) {
    this.#hasStates = hasStates;
  }

  run({ slices }: Batch, watched: ReadonlyMap<number, Watched>): void {
    for (const { blockCopy } of slices) {
      if (blockCopy === undefined) continue;
      for (let i = 0; i < BLOCK_SIZE; i++) {
        const text = this.#slots.get(blockCopy.from * BLOCK_SIZE + i);
        if (text !== undefined) this.#slots.set(blockCopy.to * BLOCK_SIZE + i, text);
      }
    }
    for (const slice of slices) this.#write(slice, watched.get(slice.sequenceId)!);
    for (const slice of slices) this.#read(slice, watched.get(slice.sequenceId)!);
  }

  #write(slice: BatchSlice, sequence: Watched): void {
    const end = slice.startPosition + slice.tokenIds.length;
    for (let position = slice.startPosition; position < end; position++) {
      this.#slots.set(slotOf(slice, position), textUpTo(position, slice.sequenceId, sequence));
    }
  }

  #read(slice: BatchSlice, sequence: Watched): void {
    const end = slice.startPosition + slice.tokenIds.length;
    for (let position = 0; position < end; position++) {
      const text = textUpTo(position, slice.sequenceId, sequence);
      // expect() itself would take most of the time.
      if (this.#slots.get(slotOf(slice, position)) === text) continue;
      expect(this.#slots.get(slotOf(slice, position))).toBe(text);
    }
    if (this.#hasStates) this.#runState(slice, sequence);
    else expect(slice.stateMoves).toBeUndefined();
  }

  #runState(slice: BatchSlice, sequence: Watched): void {
    const { startPosition, sequenceId, slot, stateMoves } = slice;
    const end = startPosition + slice.tokenIds.length;
    if (stateMoves?.restoreFrom !== undefined) {
      this.#states.set(`slot ${slot}`, this.#states.get(`saved ${stateMoves.restoreFrom}`)!);
    }
    if (startPosition > 0) {
      expect(this.#states.get(`slot ${slot}`))
        .toBe(textUpTo(startPosition - 1, sequenceId, sequence));
    }
    const state = textUpTo(end - 1, sequenceId, sequence);
    this.#states.set(`slot ${slot}`, state);
    if (stateMoves?.saveTo !== undefined) this.#states.set(`saved ${stateMoves.saveTo}`, state);
  }
}

function slotOf({ blockTable }: BatchSlice, position: number): number {
  return blockTable[Math.floor(position / BLOCK_SIZE)]! * BLOCK_SIZE + position % BLOCK_SIZE;
}

function textUpTo(position: number, sequenceId: number, { prompt, terms }: Watched): string {
  const tokens = prompt.slice(0, position + 1);
  for (let i = prompt.length; i <= position; i++) {
    tokens.push(drawnToken(sequenceId, i - prompt.length));
  }
  return `${terms.cacheSalt}:${tokens.join()}`;
}

function checkBatch(
  { slices }: Batch,
  { watched, maxBatchTokens }: {
    readonly watched: ReadonlyMap<number, Watched>;
    readonly maxBatchTokens: number;
  },
): void {
  const ids = slices.map((slice) => slice.sequenceId);
  const slots = slices.map((slice) => slice.slot);
  expect(new Set(ids).size).toBe(ids.length);
  expect(new Set(slots).size).toBe(slots.length);
  expect(ids.filter((id) => !watched.has(id))).toEqual([]);
  const numTokens = slices.reduce((sum, slice) => sum + slice.tokenIds.length, 0);
  expect(numTokens).toBeLessThanOrEqual(maxBatchTokens);
  for (const slice of slices) checkSlice(slice, watched.get(slice.sequenceId)!);
}

/** The slice carries the right tokens of its sequence and asks for a sample just when it should. */
function checkSlice(slice: BatchSlice, { prompt, tokenIds }: Watched): void {
  const all = [...prompt, ...tokenIds];
  const end = slice.startPosition + slice.tokenIds.length;
  const known = slice.takesDrawn ? [0] : all.slice(slice.startPosition, end);
  if (slice.takesDrawn) expect(slice.startPosition).toBe(all.length);
  expect([...slice.tokenIds]).toEqual(known);
  expect(slice.tokenIds.length).toBeGreaterThan(0);
  expect(slice.blockTable.length).toBe(Math.ceil(end / BLOCK_SIZE));
  expect(slice.sample?.tokenIndex).toBe(end >= all.length ? end - prompt.length : undefined);
}
