import { expect, test } from "vitest";
import fc from "fast-check";
import type { Batch, BatchSlice, SamplingParams } from "../../src/core.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { VOCAB_SIZE } from "../pipeline/hash_chain.ts";
import { limits, prompt, sampling } from "./arbitraries.ts";

/** A sequence as the test sees it. */
interface Watched {
  readonly prompt: readonly number[];
  readonly sampling: SamplingParams;
  readonly tokenIds: number[];
}

const command = fc.oneof(
  { weight: 4, arbitrary: fc.record({ verb: fc.constant("add" as const), prompt, sampling }) },
  { weight: 6, arbitrary: fc.record({ verb: fc.constant("schedule" as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      verb: fc.constant("update" as const),
      choice: fc.nat(),
      token: fc.nat(VOCAB_SIZE - 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant("abort" as const), choice: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant("fail" as const), choice: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant("lose" as const) }) },
);

test("any order of calls keeps every promise of a batch, and all sequences come to an end", () => {
  let numPreemptions = 0;
  fc.assert(
    fc.property(limits, fc.array(command, { maxLength: 150, size: "max" }), (limits, commands) => {
      const { numMicroBatches, ...options } = limits;
      const scheduler = new Scheduler(options);
      const watched = new Map<number, Watched>();
      const inFlight: Batch[] = [];

      const schedule = () => {
        const batch = scheduler.schedule(numMicroBatches);
        if (batch === null) return false;
        checkBatch(batch, { watched, inFlight, maxBatchTokens: options.maxBatchTokens });
        inFlight.push(batch);
        return true;
      };
      const update = (choice: number, token: number) => {
        const [batch] = inFlight.splice(choice % inFlight.length, 1);
        if (batch === undefined) return;
        const tokens = batch.slices.filter((slice) => slice.sample !== undefined)
          .map(({ sequenceId }, i) => ({ sequenceId, tokenId: (token + i) % VOCAB_SIZE }));
        for (const update of scheduler.update(batch, tokens)) {
          const sequence = watched.get(update.sequenceId)!;
          if (update.tokenId !== null) sequence.tokenIds.push(update.tokenId);
          if (update.finishReason !== null) watched.delete(update.sequenceId);
        }
      };
      const run = (step: typeof commands[number]) => {
        switch (step.verb) {
          case "add": {
            if (step.prompt.length >= scheduler.maxModelLength) return;
            const id = scheduler.add(step.prompt, step.sampling);
            watched.set(id, { prompt: step.prompt, sampling: step.sampling, tokenIds: [] });
            return;
          }
          case "schedule":
            schedule();
            return;
          case "update":
            update(step.choice, step.token);
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
            const [batch] = inFlight.splice(step.choice % inFlight.length, 1);
            if (batch === undefined) return;
            for (const id of scheduler.fail(batch)) expect(watched.delete(id)).toBe(true);
            return;
          }
          case "lose":
            for (const batch of inFlight.splice(0)) scheduler.takeBack(batch);
            scheduler.preemptAll();
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
        update(0, numSteps % 3);
        scheduler.checkIntegrity();
      }
      numPreemptions += scheduler.stats().numPreemptions;
      expect(scheduler.stats()).toMatchObject({
        numRunning: 0,
        numWaiting: 0,
        numFreeBlocks: options.numBlocks,
      });
    }),
    { numRuns: 250 },
  );
  expect(numPreemptions).toBeGreaterThan(20);
});

function checkBatch(
  { slices }: Batch,
  { watched, inFlight, maxBatchTokens }: {
    readonly watched: ReadonlyMap<number, Watched>;
    readonly inFlight: readonly Batch[];
    readonly maxBatchTokens: number;
  },
): void {
  const ids = slices.map((slice) => slice.sequenceId);
  const busyIds = new Set(inFlight.flatMap((batch) => batch.slices.map((x) => x.sequenceId)));
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.filter((id) => busyIds.has(id) || !watched.has(id))).toEqual([]);
  const numTokens = slices.reduce((sum, slice) => sum + slice.tokenIds.length, 0);
  expect(numTokens).toBeLessThanOrEqual(maxBatchTokens);
  for (const slice of slices) checkSlice(slice, watched.get(slice.sequenceId)!);
}

/** The slice carries the right tokens of its sequence and asks for a sample just when it should. */
function checkSlice(slice: BatchSlice, { prompt, tokenIds }: Watched): void {
  const all = [...prompt, ...tokenIds];
  const end = slice.startPosition + slice.tokenIds.length;
  expect([...slice.tokenIds]).toEqual(all.slice(slice.startPosition, end));
  expect(slice.tokenIds.length).toBeGreaterThan(0);
  expect(slice.blockTable.length).toBe(Math.ceil(end / 16));
  expect(slice.sample?.tokenIndex).toBe(end === all.length ? tokenIds.length : undefined);
}
