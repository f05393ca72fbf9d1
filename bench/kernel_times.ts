/**
 * Where the GPU time of one step goes, program by program.
 *
 * @module
 */
import type { Batch, ModelConfig } from "../src/core.ts";
import type { Profiler, ProgramTime } from "../src/gpu/profiler.ts";
import type { BatchShape } from "../src/models/architecture.ts";
import type { Pipeline } from "../src/pipeline/pipeline.ts";
import type { LocalStage } from "../src/stage/local_stage.ts";
import type { Cost } from "./cost.ts";
import { median } from "./median.ts";
import { programCost } from "./program_cost.ts";

/** One program in one step. */
export interface KernelTime {
  /** Stem of the shader's file. */
  readonly kernel: string;
  /** What tells programs of one shader apart: the shape of the matrix, or nothing. */
  readonly shape: string;
  readonly numDispatches: number;
  readonly totalMs: number;
  /** Of all its dispatches; null where the constants do not tell. */
  readonly cost: Cost | null;
}

/** A step as the kernels see it. */
export interface ProfiledStep {
  readonly batch: Batch;
  readonly shape: BatchShape;
  /** Positions that a new token sees, on average. */
  readonly numSeen: number;
  /** New tokens that may share one read of K and V. */
  readonly queriesPerRead: number;
}

/** Runs a step a few times with every dispatch timed. Longest program first. */
export async function timeKernels(
  step: ProfiledStep,
  { pipeline, stage, profiler, config, repeats }: {
    readonly pipeline: Pipeline;
    readonly stage: LocalStage;
    readonly profiler: Profiler;
    readonly config: ModelConfig;
    readonly repeats: number;
  },
): Promise<KernelTime[]> {
  await pipeline.forward(step.batch);
  const runs: ProgramTime[][] = [];
  stage.recorder.profiler = profiler;
  try {
    for (let i = 0; i < repeats; i++) {
      await pipeline.forward(step.batch);
      runs.push(await profiler.read());
    }
  } finally {
    stage.recorder.profiler = null;
  }
  return (runs[0] ?? []).map(({ key, numDispatches }) => {
    const totals = runs.flatMap((run) => run.find((time) => time.key === key)?.totalMs ?? []);
    const { kernel, constants } = parseKey(key);
    const cost = programCost(kernel, constants, { ...step, config });
    return {
      kernel,
      shape: shapeOf(constants),
      numDispatches,
      totalMs: median(totals),
      cost: cost && { bytes: cost.bytes * numDispatches, flops: cost.flops * numDispatches },
    };
  }).sort((a, b) => b.totalMs - a.totalMs);
}

/** Undoes the key that ProgramCache makes: a name, then NAME=value pairs. */
export function parseKey(key: string): {
  readonly kernel: string;
  readonly constants: ReadonlyMap<string, string>;
} {
  const [kernel = "", ...pairs] = key.split(" ");
  const constants = new Map(pairs.map((pair) => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), pair.slice(at + 1)] as const;
  }));
  return { kernel, constants };
}

function shapeOf(constants: ReadonlyMap<string, string>): string {
  const format = constants.get("WEIGHT_FORMAT");
  if (format === undefined) return "";
  return `${constants.get("ROWS")}x${constants.get("COLS")} ${format}`;
}
