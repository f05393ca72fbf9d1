import type { GpuCapabilities } from "../gpu/context.ts";
import { divideUp, MAX_WORKGROUPS } from "../gpu/dispatch.ts";
import type { ProgramCache } from "../gpu/program.ts";
import type { Tuning } from "./tuning.ts";

/** What every kernel call needs beside its operands. */
export interface KernelContext {
  readonly programs: ProgramCache;
  readonly capabilities: GpuCapabilities;
  readonly tuning: Tuning;
  /** The uniform buffer of shaders/include/step.wgsl. */
  readonly step: GPUBuffer;
}

/** Bytes of the step uniform. */
export const STEP_BYTES = 16;

/** Which rows a kernel computes: every token of the batch, or only those that are sampled. */
export type RowKind = "tokens" | "samples";

/** Folds a long x dimension into x and z, as shaders that read `num_workgroups` expect. */
export function foldWorkgroups(x: number, y: number): [number, number, number] {
  const z = divideUp(x, MAX_WORKGROUPS);
  return [divideUp(x, z), y, z];
}
