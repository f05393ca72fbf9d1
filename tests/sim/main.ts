/**
 * `deno task sim`: see options.ts for what it takes, tests/sim/README.md for what it does.
 *
 * @module
 */
import { type BatchResult, runBatch } from "./batch.ts";
import { makeModels } from "./model.ts";
import { HELP, OptionError, parseOptions, type SimOptions } from "./options.ts";
import { describeFailure, summarize } from "./report.ts";
import { type Models, planOf, runPlan } from "./run_seed.ts";
import { keepAll, restrict, shrink } from "./shrink.ts";

/** Failing seeds that are shrunk and shown; the others are listed. */
const MAX_SHRUNK = 2;
const MAX_SHRINK_RUNS = 300;

/** Returns the exit code: 1 when an invariant was broken or not all was reached, 2 for wrong use. */
export async function sim(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  let options: SimOptions;
  try {
    options = parseOptions(args, navigator.hardwareConcurrency);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    console.error(error.message);
    return 2;
  }
  const { firstSeed: first, numSeeds: count, numJobs, stopsAtFailure } = options;
  if (options.isTraced || options.keep !== null) return await replay(options);
  const batch = await runBatch({ first, count, numJobs, stopsAtFailure });
  const summary = summarize(batch);
  if (options.isJson) console.log(JSON.stringify(summary));
  else console.log(JSON.stringify(summary, null, 2));
  if (options.shrinks) await explain(batch);
  if (summary.unreached.length > 0) {
    console.error(`Not reached often enough:\n  ${summary.unreached.join("\n  ")}`);
  }
  return summary.failures > 0 || summary.unreached.length > 0 ? 1 : 0;
}

async function replay({ firstSeed: seed, keep, isTraced }: SimOptions): Promise<number> {
  const models = await makeModels();
  const whole = planOf(seed, models);
  const plan = restrict(whole, { ...keepAll(whole), ...keep });
  const { failure, hash } = await runPlan(plan, {
    models,
    onTrace: isTraced ? (line) => console.log(line) : null,
  });
  console.log(`Seed ${seed}, hash ${hash.toString(16)}: ${failure?.message ?? "all is well"}`);
  return failure === null ? 0 : 1;
}

/** Failing seeds, the first of them shrunk; on stderr, so that stdout stays one JSON object. */
async function explain({ results }: BatchResult): Promise<void> {
  const failed = results.filter(({ failure }) => failure !== null);
  if (failed.length === 0) return;
  const models: Models = await makeModels();
  for (const result of failed.slice(0, MAX_SHRUNK)) {
    const { seed, failure } = result;
    const whole = planOf(seed, models);
    const kept = await shrink(whole, {
      maxRuns: MAX_SHRINK_RUNS,
      fails: async (plan) => {
        const outcome = await runPlan(plan, { models });
        return outcome.failure?.invariant === failure?.invariant;
      },
    });
    console.error(describeFailure(result, { plan: restrict(whole, kept), kept }));
  }
}

if (import.meta.main) Deno.exit(await sim(Deno.args));
