import type { Dispatch } from "../src/gpu/dispatch.ts";
import type { BenchDevice } from "./bench_device.ts";
import { median } from "./median.ts";

/** GPUs raise their clocks while they are kept busy this long. */
const WARM_UP_MS = 300;

/** GPU time of one submit that is measured. */
const SUBMIT_MS = 20;

/** Dispatches of one submit; the profiler times 2,048. */
const MAX_DISPATCHES = 1024;

/** GPU time of one run. */
export interface GpuTime {
  readonly medianMs: number;
  /** What a ceiling is made of: nothing makes a program faster than it is. */
  readonly bestMs: number;
}

/**
 * How long one of `runs` takes on the GPU: they are submitted in turn, so that operands too
 * large for the cache together are never found there. Over `repeats` submits after a warm-up.
 */
export async function measureGpuTime(
  device: BenchDevice,
  runs: readonly (readonly Dispatch[])[],
  { repeats }: { readonly repeats: number },
): Promise<GpuTime> {
  const { context, kernels, recorder } = device;
  await kernels.programs.compiled();
  const once = recorder.record(runs.flat());
  const startMs = performance.now();
  let numSubmits = 0;
  do {
    recorder.submit(once);
    await context.wait(context.device.queue.onSubmittedWorkDone());
    numSubmits++;
  } while (performance.now() - startMs < WARM_UP_MS);
  const roundMs = (performance.now() - startMs) / numSubmits;
  const numRounds = Math.max(
    1,
    Math.min(Math.ceil(SUBMIT_MS / roundMs), Math.floor(MAX_DISPATCHES / once.steps.length)),
  );
  const rounds = recorder.record(Array.from({ length: numRounds }, () => runs.flat()).flat());
  const times: number[] = [];
  recorder.profiler = device.profiler;
  try {
    for (let i = 0; i < repeats; i++) {
      recorder.submit(rounds);
      const totalMs = (await device.profiler.read()).reduce((sum, time) => sum + time.totalMs, 0);
      times.push(totalMs / (numRounds * runs.length));
    }
  } finally {
    recorder.profiler = null;
  }
  return { medianMs: median(times), bestMs: Math.min(...times) };
}
