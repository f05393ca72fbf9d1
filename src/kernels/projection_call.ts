import type { Constants } from "../gpu/preprocess.ts";
import type { Weight, WeightPart } from "../gpu/weight.ts";
import type { KernelContext, RowKind } from "./context.ts";

/** A matrix applied to every row of x: what `matvec` and `matmul` compute. */
export interface ProjectionCall {
  readonly weight: Weight;
  /** f32 [numRows, weight.numCols]. */
  readonly x: GPUBuffer;
  /** f32 [numRows, weight.numRows]. */
  readonly y: GPUBuffer;
  /** f32 [weight.numRows]. */
  readonly bias?: GPUBuffer | null;
  /** Adds to y instead of replacing it: the residual. */
  readonly accumulate?: boolean;
  readonly rowKind?: RowKind;
  /** Rows of x: tokens or samples of this batch. */
  readonly numRows: number;
}

/** The constants that both kernels share, with their weight and input includes. */
export function projectionConstants(call: ProjectionCall, part: WeightPart): Constants {
  return {
    ...weightConstants(part, call.weight.numCols),
    OUT_STRIDE: call.weight.numRows,
    OUT_OFFSET: part.startRow,
    HAS_BIAS: call.bias !== undefined && call.bias !== null,
    ACCUMULATE: call.accumulate ?? false,
    FOR_SAMPLES: call.rowKind === "samples",
  };
}

/** The buffers that both kernels bind, in order. */
export function projectionBindings(
  kernels: KernelContext,
  call: ProjectionCall,
  part: WeightPart,
): GPUBuffer[] {
  return [kernels.step, part.buffer, call.x, call.y, ...(call.bias ? [call.bias] : [])];
}

/** The constants that shaders/include/weight_*.wgsl need. */
export function weightConstants(part: WeightPart, numCols: number): Constants {
  const planes = part.planeWords.map((words, plane) => [`PLANE_${plane}`, words] as const);
  return {
    WEIGHT_FORMAT: part.format,
    ROWS: part.numRows,
    COLS: numCols,
    COLS_TAIL: numCols % 8 !== 0,
    ...Object.fromEntries(planes.slice(1)),
  };
}
