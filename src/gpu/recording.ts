import type { Program } from "./program.ts";

/** A list of dispatches with its bind groups made: submit it as often as wanted. */
export interface Recording {
  readonly steps: readonly RecordedStep[];
}

/** A dispatch that is ready to be encoded. */
export interface RecordedStep {
  readonly program: Program;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}
