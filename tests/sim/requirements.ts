import { FAULT_KINDS } from "./fault_kinds.ts";

/** A batch of at least this many seeds has to reach everything. */
export const MIN_SEEDS = 400;

/** What 2,000 seeds have to reach. Smaller batches: half of their share, for it is chance. */
const FULL_SEEDS = 2_000;
const MIN_FAULTS = 100;
const MIN_PATHS = 20;

/** Recoveries, refusals and rare ways through the code that every large batch takes. */
export const PATHS = [
  "path: preemption",
  "path: eviction",
  "path: prefix hit",
  "path: prefix hit again",
  "path: block copy",
  "path: decode ahead",
  "path: decode ahead discarded",
  "path: state saved",
  "path: state restored",
  "path: stale batch frame arrived",
  "path: stale tokens frame arrived",
  "path: lost slice refused",
  "path: step failed",
  "path: step overdue",
  "path: batch taken back",
  "path: pipeline lost in a prefill",
  "path: pipeline lost before its first answer",
  "path: pipeline started",
  "path: start failed",
  "path: no room for a shard",
  "path: link fell silent",
  "path: stopped with requests under way",
  "path: sender waits for its buffer",
  "heard: load-failed",
  "heard: stage-lost",
  "heard: step-failed",
  "heard: pause",
  "heard: resume",
  "client: burst",
  "client: slow reader",
  "client: cancel without a pipeline",
  "client: cancel while it waits",
  "client: cancel before the first token",
  "client: cancel between tokens",
  "client: cancel at the last token",
  "end: success",
  "end: abort",
  "end: left",
  "end: refused",
  "end: timeout",
  "end: too-small",
  "end: error",
  "stages: 1",
  "stages: 2",
  "stages: 3",
  "stages: 4",
  "stages: 5",
  "stages: 6",
] as const;

/** What a batch of `numSeeds` did not reach often enough: empty when all is well. */
export function findUnreached(counts: ReadonlyMap<string, number>, numSeeds: number): string[] {
  const share = numSeeds < FULL_SEEDS ? numSeeds / FULL_SEEDS / 2 : 1;
  const wanted = [
    ...FAULT_KINDS.map((kind) => [`fault: ${kind}`, MIN_FAULTS] as const),
    ...PATHS.map((path) => [path, MIN_PATHS] as const),
  ];
  return wanted.flatMap(([what, leastOfAll]) => {
    const least = Math.ceil(leastOfAll * share);
    const times = counts.get(what) ?? 0;
    return times < least ? [`"${what}" ${times} times instead of ${least}`] : [];
  });
}
