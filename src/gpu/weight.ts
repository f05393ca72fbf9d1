import type { WeightFormat } from "../core.ts";

/** Consecutive rows of a weight matrix in one buffer, in the GPU layout of their format. */
export interface WeightPart {
  readonly format: WeightFormat;
  /** Row of the whole matrix that the part starts at. */
  readonly startRow: number;
  readonly numRows: number;
  readonly buffer: GPUBuffer;
  /** Where each plane of the format starts, in 4-byte words; the first is 0. */
  readonly planeWords: readonly number[];
}

/**
 * A matrix [numRows, numCols] in its stored width. More than one part when the parts differ in
 * format (a fused projection) or when one buffer would pass the device's binding limit.
 */
export interface Weight {
  readonly numRows: number;
  readonly numCols: number;
  readonly parts: readonly WeightPart[];
}
