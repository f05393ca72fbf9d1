import type { RangeResult, SeedRange, SeedResult } from "./job.ts";
import { Reach } from "./reach.ts";
import { type Models, planOf, runPlan } from "./run_seed.ts";

/** Runs seeds one after the other; after the first failure no more when asked to stop there. */
export async function runRange(
  { first, count }: SeedRange,
  { models, stopsAtFailure }: { readonly models: Models; readonly stopsAtFailure: boolean },
): Promise<RangeResult> {
  const reach = new Reach();
  const results: SeedResult[] = [];
  for (let seed = first; seed < first + count; seed++) {
    const outcome = await runPlan(planOf(seed, models), { models });
    const { failure, hash, numSteps, numFaults } = outcome;
    reach.add(outcome.reach);
    results.push({
      ...{ seed, hash, numSteps, numFaults },
      failure: failure && { invariant: failure.invariant, message: failure.message },
    });
    if (failure !== null && stopsAtFailure) break;
  }
  return { results, reach: [...reach.counts] };
}
