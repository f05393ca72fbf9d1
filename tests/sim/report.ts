import type { BatchResult } from "./batch.ts";
import { INVARIANTS } from "./invariant_error.ts";
import type { SeedResult } from "./job.ts";
import { writeKept } from "./options.ts";
import type { WorldPlan } from "./plan.ts";
import { findUnreached, MIN_SEEDS } from "./requirements.ts";
import type { Kept } from "./shrink.ts";

/** Peers, requests and faults of a failing seed that are shown. */
const MAX_LISTED = 8;

/** The command that runs a seed again. */
export function replayCommand(seed: number, kept: Kept | null = null): string {
  const command = `deno task sim --first-seed ${seed} --seeds 1`;
  return kept === null ? command : `${command} --keep ${writeKept(kept)}`;
}

/** What `--json` prints. */
export function summarize({ results, reach, hash, seconds }: BatchResult) {
  const failed = results.filter(({ failure }) => failure !== null);
  const sum = (pick: (result: SeedResult) => number) =>
    results.reduce((total, result) => total + pick(result), 0);
  const times = (prefix: string) =>
    Object.fromEntries(
      [...reach].filter(([what]) => what.startsWith(prefix))
        .map(([what, count]) => [what.slice(prefix.length), count] as const)
        .sort(([a], [b]) => a < b ? -1 : 1),
    );
  return {
    seeds: results.length,
    failures: failed.length,
    steps: sum(({ numSteps }) => numSteps),
    faultsFired: sum(({ numFaults }) => numFaults),
    /** How many seeds broke each. */
    invariants: Object.fromEntries(
      Object.keys(INVARIANTS).map((name) => [
        name,
        failed.filter(({ failure }) => failure?.invariant === name).length,
      ]),
    ),
    seedsPerSecond: Number((results.length / seconds).toFixed(1)),
    hash: hash.toString(16).padStart(8, "0"),
    failed: failed.map(({ seed, failure }) => ({
      seed,
      invariant: failure!.invariant,
      message: failure!.message,
      replay: replayCommand(seed),
    })),
    unreached: results.length >= MIN_SEEDS ? findUnreached(reach, results.length) : [],
    faults: times("fault: "),
    paths: { ...times("path: "), ...times("heard: ") },
    requests: { ...times("client: "), ...times("end: ") },
    stages: times("stages: "),
  };
}

/** A failing seed for people, with the least of it that still fails. */
export function describeFailure(
  { seed, failure }: SeedResult,
  { plan, kept }: { readonly plan: WorldPlan; readonly kept: Kept },
): string {
  const { numLayers, limits, pool, evenStages, net, peers, requests, faults, calmMs } = plan;
  return [
    `Seed ${seed}: ${failure?.message}`,
    `  replay: ${replayCommand(seed)}`,
    `  shrunk: ${replayCommand(seed, kept)} --trace`,
    `  world: ${JSON.stringify({ numLayers, limits, pool, evenStages, net, calmMs })}`,
    ...listSome("peer", peers),
    ...listSome(
      "request",
      requests.map(({ promptTokenIds, ...request }) => ({
        numPromptTokens: promptTokenIds.length,
        ...request,
      })),
    ),
    ...listSome("fault", faults),
  ].join("\n");
}

function listSome(name: string, values: readonly unknown[]): string[] {
  const lines = values.slice(0, MAX_LISTED).map((value) => `  ${name}: ${JSON.stringify(value)}`);
  const numLeft = values.length - lines.length;
  return numLeft > 0 ? [...lines, `  and ${numLeft} more of these`] : lines;
}
