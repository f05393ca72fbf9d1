import type { Program } from "./program.ts";

/** One call of a kernel, as data: it can be recorded once and replayed. */
export interface Dispatch {
  readonly program: Program;
  /** Whole buffers, in the order of the shader's bindings. */
  readonly bindings: readonly GPUBuffer[];
  /** Workgroups in x, y, z. */
  readonly workgroups: readonly [number, number, number];
}

/** Most workgroups in one dimension; part of WebGPU's guaranteed limits. */
export const MAX_WORKGROUPS = 65_535;

/** `ceil(a / b)`. */
export function divideUp(a: number, b: number): number {
  return Math.floor((a + b - 1) / b);
}
