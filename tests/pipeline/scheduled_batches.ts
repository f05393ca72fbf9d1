/** Batches as the scheduler makes them: admissions, aborts, preemptions and losses included. */
import fc from "fast-check";
import type { Batch } from "../../src/core.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { StageLimits } from "../../src/stage/stage_limits.ts";
import { limits, prompt, sampling, terms } from "../scheduler/arbitraries.ts";
import { VOCAB_SIZE } from "./hash_chain.ts";

/** A run of one pipeline: what it is sent, in order. */
export interface ScheduledRun {
  readonly batches: readonly Batch[];
  readonly limits: StageLimits;
  readonly numPreemptions: number;
}

const command = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ verb: fc.constant("add" as const), prompt, sampling, terms }),
  },
  { weight: 12, arbitrary: fc.record({ verb: fc.constant("step" as const), choice: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant("abort" as const), choice: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant("fail" as const) }) },
);

/** Runs in which a failed batch ends its sequences, as the engine ends them. */
export const scheduledRun: fc.Arbitrary<ScheduledRun> = fc
  .tuple(limits, fc.array(command, { minLength: 10, maxLength: 150, size: "max" }))
  .map(([{ numMicroBatches, ...options }, commands]) => {
    const scheduler = new Scheduler(options);
    const batches: Batch[] = [];
    const inFlight: Batch[] = [];
    const ids: number[] = [];
    for (const step of commands) {
      switch (step.verb) {
        case "add":
          if (step.prompt.length < scheduler.maxModelLength) {
            ids.push(scheduler.add(step.prompt, step.sampling, step.terms));
          }
          break;
        case "step": {
          const batch = scheduler.schedule(numMicroBatches);
          if (batch !== null) {
            batches.push(batch);
            inFlight.push(batch);
          }
          // As many as an engine would leave in flight.
          if (batch !== null && inFlight.length < Math.max(2, numMicroBatches)) break;
          const done = inFlight.shift();
          if (done !== undefined) scheduler.update(done, drawn(done, step.choice));
          break;
        }
        case "abort":
          scheduler.abort(ids[step.choice % ids.length] ?? -1);
          break;
        case "fail": {
          const lost = inFlight.shift();
          if (lost !== undefined) scheduler.fail(lost);
        }
      }
    }
    const { numPreemptions } = scheduler.stats();
    const limits = { numSavedStates: 0, ...options, maxSamples: options.maxSequences };
    return { batches, limits, numPreemptions };
  });

function drawn({ slices }: Batch, choice: number) {
  return slices.filter(({ sample }) => sample !== undefined)
    .map(({ sequenceId }, i) => ({ sequenceId, tokenId: (choice + i) % VOCAB_SIZE }));
}
