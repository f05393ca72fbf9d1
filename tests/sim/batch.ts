import type { RangeResult, SeedRange, SeedResult } from "./job.ts";
import { Reach } from "./reach.ts";
import { mixNumber } from "./rng.ts";

/** Seeds to run, and on how many cores. */
export interface BatchOptions extends SeedRange {
  readonly numJobs: number;
  /** No more seeds are begun once one has failed. */
  readonly stopsAtFailure?: boolean;
}

/** What a batch came to. */
export interface BatchResult {
  /** In the order of the seeds. */
  readonly results: readonly SeedResult[];
  readonly reach: ReadonlyMap<string, number>;
  /** Of all runs, in the order of the seeds: however they were shared out. */
  readonly hash: number;
  readonly seconds: number;
}

/** Seeds that a worker gets at once. */
const CHUNK_SEEDS = 10;

/** Runs seeds in workers. */
export async function runBatch(options: BatchOptions): Promise<BatchResult> {
  const { first, count, numJobs, stopsAtFailure = false } = options;
  const startMs = performance.now();
  const ranges: SeedRange[] = [];
  for (let at = 0; at < count; at += CHUNK_SEEDS) {
    ranges.push({ first: first + at, count: Math.min(CHUNK_SEEDS, count - at) });
  }
  const results: SeedResult[] = [];
  const reach = new Reach();
  const work = async () => {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    try {
      for (let range = ranges.shift(); range !== undefined; range = ranges.shift()) {
        const done = await ask(worker, { ...range, stopsAtFailure });
        results.push(...done.results);
        reach.add(done.reach);
        if (stopsAtFailure && done.results.some(({ failure }) => failure !== null)) {
          ranges.length = 0;
        }
      }
    } finally {
      worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(numJobs, ranges.length) }, work));
  results.sort((a, b) => a.seed - b.seed);
  return {
    results,
    reach: reach.counts,
    hash: results.reduce((hash, result) => mixNumber(hash, result.hash), 1),
    seconds: (performance.now() - startMs) / 1000,
  };
}

function ask(worker: Worker, range: SeedRange & { readonly stopsAtFailure: boolean }) {
  return new Promise<RangeResult>((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<RangeResult>) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(`A worker failed: ${event.message}`));
    };
    worker.postMessage(range);
  });
}
