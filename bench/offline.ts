/**
 * Prefill and decode of a whole model at several batch sizes, and where the time of a step goes.
 *
 * @module
 */
import { BLOCK_SIZE, type ModelConfig } from "../src/core.ts";
import { Engine } from "../src/engine.ts";
import { queryTileRows } from "../src/kernels/attention_prefill.ts";
import { CHUNK_ROWS } from "../src/kernels/delta_solve.ts";
import { loadLocalPipeline, type LocalPipeline } from "../src/local_pipeline.ts";
import { systemClock } from "../src/platform/system.ts";
import type { StageLimits } from "../src/stage/stage_limits.ts";
import { evenBatch } from "./batches.ts";
import { type BenchDevice, openBenchDevice } from "./bench_device.ts";
import { type Ceilings, measureCeilings } from "./ceilings.ts";
import { addCosts, boundMs, rate, round } from "./cost.ts";
import { checkLogits } from "./finite_logits.ts";
import { type KernelTime, timeKernels } from "./kernel_times.ts";
import { openBenchModel } from "./model_choice.ts";
import type { BenchOptions } from "./options.ts";
import { Report } from "./report.ts";
import { decodeLength, decodeRate, prefillRate } from "./throughput.ts";

/** Lengths in tokens. */
interface Lengths {
  readonly promptTokens: number;
  readonly decodeTokens: number;
  readonly chunkTokens: number;
}

const SOFTWARE: Lengths = { promptTokens: 16, decodeTokens: 4, chunkTokens: 64 };
const HARDWARE: Lengths = { promptTokens: 512, decodeTokens: 64, chunkTokens: 512 };

/** Everything that the measurements share. */
interface OfflineRun extends LocalPipeline {
  readonly device: BenchDevice;
  readonly limits: StageLimits;
  readonly ceilings: Ceilings;
  readonly lengths: Lengths;
  readonly repeats: number;
  readonly report: Report;
}

/** Prints one line for each number. Returns the exit code: 1 when a logit is not finite. */
export async function benchOffline(options: BenchOptions): Promise<number> {
  const source = await openBenchModel(options);
  const device = await openBenchDevice(options);
  const { context, kernels } = device;
  const { adapterName, isSoftware } = context.capabilities;
  const lengths = lengthsOf(options, isSoftware);
  const repeats = options.repeats ?? (isSoftware ? 3 : 5);
  const report = new Report({
    bench: "offline",
    isJson: options.isJson,
    common: {
      model: source.name,
      deterministic: kernels.tuning.isDeterministic,
      adapter: adapterName,
      ...(isSoftware && { note: "software adapter: short prompts and outputs" }),
    },
  });
  const ceilings = await measureCeilings(device, { repeats });
  report.line({ measure: "stream_read", gbPerS: round(ceilings.gbPerS) });
  report.line({ measure: "fma_peak", gflops: round(ceilings.gflops) });

  const limits = limitsOf(lengths, { batches: options.batches, repeats });
  // Of a model with linear attention, a prefix is of no use without its state.
  const withStates = ({ linear }: ModelConfig) =>
    linear ? { ...limits, numSavedStates: 2 * limits.maxSequences } : limits;
  const startMs = performance.now();
  const local = await loadLocalPipeline({
    ...{ context, tuning: kernels.tuning, source, numStages: 1 },
    limits: withStates,
  });
  const loadMs = performance.now() - startMs;
  const run = {
    ...local,
    device,
    limits: withStates(local.config),
    ceilings,
    lengths,
    repeats,
    report,
  };
  const weightBytes = local.stages[0]?.memory.weightBytes ?? 0;
  report.line({
    measure: "load",
    gb: round(weightBytes / 1e9),
    gbPerS: round(weightBytes / loadMs / 1e6),
  });
  let exitCode = 0;
  try {
    await checkLogits(local.pipeline, { vocabSize: local.config.vocabSize, ...lengths });
    report.line({ measure: "check", logits: "finite" });
  } catch (error) {
    exitCode = 1;
    report.line({ measure: "check", error: String(error) });
  }
  const newTokens = Math.min(lengths.promptTokens, lengths.chunkTokens);
  const prefillKernels = await profile(run, "prefill", { numSequences: 1, newTokens });
  for (const numSequences of options.batches) {
    await measureBatch(run, { numSequences, newTokens, prefillKernels });
  }
  local.pipeline.close();
  await source.close();
  context.destroy();
  return exitCode;
}

async function measureBatch(
  run: OfflineRun,
  { numSequences, newTokens, prefillKernels }: {
    readonly numSequences: number;
    /** Of the step that `prefillKernels` were timed in. */
    readonly newTokens: number;
    readonly prefillKernels: readonly KernelTime[];
  },
): Promise<void> {
  const { config, pipeline, limits, lengths, repeats, report } = run;
  const { promptTokens, decodeTokens, chunkTokens } = lengths;
  const { vocabSize } = config;
  const prefillSteps = Math.ceil(numSequences * promptTokens / chunkTokens);
  const engine = new Engine({ pipeline, scheduler: limits, vocabSize, clock: systemClock });
  const load = { engine, vocabSize, numSequences, promptTokens, repeats };
  const batch = numSequences;
  try {
    // The first steps compile their programs, which do not depend on the length of the prompt.
    await decodeRate({ ...load, promptTokens: 2, repeats: 1 }, { decodeTokens: 1, prefillSteps });
    const prefillPerS = await prefillRate(load);
    report.line({
      ...{ measure: "prefill", batch, promptTokens, chunkTokens },
      ...rateLine(prefillPerS, newTokens, prefillKernels, run.ceilings),
    });

    const decodeKernels = await profile(run, "decode", { numSequences, newTokens: 1 });
    const decodePerS = await decodeRate(load, { decodeTokens, prefillSteps });
    const dispatches = decodeKernels.reduce((sum, kernel) => sum + kernel.numDispatches, 0);
    report.line({
      ...{ measure: "decode", batch, context: promptTokens, decodeTokens },
      ...rateLine(decodePerS, numSequences, decodeKernels, run.ceilings),
      msPerStep: round(1000 * numSequences / decodePerS),
      dispatchesPerStep: dispatches,
      dispatchesPerToken: round(dispatches / numSequences),
    });
  } finally {
    await engine.close();
  }
}

/** Tokens a second, and what the ceilings would allow for the same work. */
function rateLine(
  tokensPerS: number,
  stepTokens: number,
  kernels: readonly KernelTime[],
  ceilings: Ceilings,
): Record<string, number> {
  const cost = addCosts(kernels.flatMap((kernel) => kernel.cost ?? []));
  const ceiling = stepTokens / boundMs(cost, ceilings) * 1000;
  const gpuMs = kernels.reduce((total, kernel) => total + kernel.totalMs, 0);
  return {
    tokensPerS: round(tokensPerS),
    ceiling: round(ceiling),
    share: round(tokensPerS / ceiling),
    gpuMsPerStep: round(gpuMs),
  };
}

/** Times the kernels of one step and reports each program. */
async function profile(
  run: OfflineRun,
  step: "prefill" | "decode",
  { numSequences, newTokens }: { readonly numSequences: number; readonly newTokens: number },
): Promise<KernelTime[]> {
  const { config, device, stages, pipeline, lengths, ceilings, repeats, report } = run;
  const [stage] = stages;
  if (stage === undefined) throw new Error("The pipeline has no stage");
  const length = step === "prefill" ? newTokens : lengths.promptTokens + 1;
  const tileRows = device.kernels.tuning.isDeterministic ? 0 : queryTileRows(config.headDim);
  const isTiled = tileRows > 0 && newTokens > 1;
  const isChunked = isTiled && config.linear !== null && newTokens >= CHUNK_ROWS;
  const numTokens = numSequences * newTokens;
  const times = await timeKernels(
    {
      batch: evenBatch({ numSequences, newTokens, length, vocabSize: config.vocabSize }),
      shape: {
        numTokens,
        numSamples: numSequences,
        numDecodeRows: isTiled ? 0 : numTokens,
        numTiles: isTiled ? numSequences * Math.ceil(newTokens / tileRows) : 0,
        numSlices: numSequences,
        numChunks: isChunked ? numSequences * Math.ceil(newTokens / CHUNK_ROWS) : 0,
      },
      numSeen: length - (newTokens - 1) / 2,
      queriesPerRead: Math.max(1, tileRows),
    },
    { pipeline, stage, profiler: device.profiler, config, repeats },
  );
  const totalMs = times.reduce((total, time) => total + time.totalMs, 0);
  for (const { kernel, shape, numDispatches, totalMs: kernelMs, cost } of times) {
    report.line({
      ...{ measure: `${step} kernel`, batch: numSequences, stepTokens: numTokens, kernel, shape },
      dispatches: numDispatches,
      totalMs: round(kernelMs),
      shareOfStep: round(kernelMs / totalMs),
      ...(cost && rate(cost, kernelMs, ceilings)),
    });
  }
  return times;
}

function lengthsOf(options: BenchOptions, isSoftware: boolean): Lengths {
  const defaults = isSoftware ? SOFTWARE : HARDWARE;
  return {
    promptTokens: options.promptTokens ?? defaults.promptTokens,
    decodeTokens: options.decodeTokens ?? defaults.decodeTokens,
    chunkTokens: Math.max(options.chunkTokens ?? defaults.chunkTokens, ...options.batches),
  };
}

/** Room for the largest batch. */
function limitsOf(lengths: Lengths, { batches, repeats }: {
  readonly batches: readonly number[];
  readonly repeats: number;
}): StageLimits {
  const { promptTokens, decodeTokens, chunkTokens } = lengths;
  const maxSequences = Math.max(...batches);
  const prefillSteps = Math.ceil(maxSequences * promptTokens / chunkTokens);
  const maxModelLength = promptTokens +
    decodeLength({ repeats, decodeTokens, prefillSteps });
  return {
    // One block is kept back for each running sequence.
    numBlocks: maxSequences * (Math.ceil(maxModelLength / BLOCK_SIZE) + 1),
    maxModelLength,
    maxBatchTokens: chunkTokens,
    maxSequences,
    numSavedStates: 0,
    maxSamples: maxSequences,
  };
}
