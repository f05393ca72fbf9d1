import source from "../../shaders/rms_norm.wgsl" with { type: "text" };
import type { Dispatch } from "../gpu/dispatch.ts";
import { f32Literal } from "../gpu/f32_literal.ts";
import type { KernelContext } from "./context.ts";

/** Normalises whole rows: y[r] = norm(x[r]) or, with `sampleRows`, norm(x[sampleRows[r]]). */
export interface RowNormCall {
  /** f32 [numCols]. */
  readonly weight: GPUBuffer;
  readonly eps: number;
  /** f32 [tokens, numCols]. */
  readonly x: GPUBuffer;
  /** f32 [numRows, numCols]. */
  readonly y: GPUBuffer;
  readonly numCols: number;
  readonly numRows: number;
  /** u32 [numRows]: rows of x to take. */
  readonly sampleRows?: GPUBuffer;
  /** Multiplies by 1 + weight. */
  readonly hasUnitOffset?: boolean;
  /** Adds to y instead of replacing it: the residual. */
  readonly accumulate?: boolean;
}

/** Root mean square norm (arXiv 1910.07467) of each row. */
export function rmsNorm(kernels: KernelContext, call: RowNormCall): Dispatch {
  const hasGather = call.sampleRows !== undefined;
  return dispatch(kernels, {
    constants: { STRIDE: call.numCols, OFFSET: 0, GATHER: hasGather },
    numCols: call.numCols,
    inPlace: false,
    accumulate: call.accumulate ?? false,
    hasUnitOffset: call.hasUnitOffset ?? false,
    eps: call.eps,
    bindings: [call.weight, call.y, call.x, ...(call.sampleRows ? [call.sampleRows] : [])],
    workgroups: [1, call.numRows, 1],
  });
}

/** Normalises `numHeads` stretches of `headDim` elements in each row of x, in place. */
export interface HeadNormCall {
  /** f32 [headDim]. */
  readonly weight: GPUBuffer;
  readonly eps: number;
  /** f32 [numRows, stride]. */
  readonly x: GPUBuffer;
  readonly stride: number;
  /** Element of a row where the first head starts. */
  readonly offset: number;
  readonly headDim: number;
  readonly numHeads: number;
  readonly numRows: number;
  /** Multiplies by 1 + weight. */
  readonly hasUnitOffset?: boolean;
}

/** The same norm over each query or key head. */
export function headNorm(kernels: KernelContext, call: HeadNormCall): Dispatch {
  return dispatch(kernels, {
    constants: { STRIDE: call.stride, OFFSET: call.offset, GATHER: false },
    numCols: call.headDim,
    inPlace: true,
    accumulate: false,
    hasUnitOffset: call.hasUnitOffset ?? false,
    eps: call.eps,
    bindings: [call.weight, call.x],
    workgroups: [call.numHeads, call.numRows, 1],
  });
}

/** From this width on, a GPU reads a row faster with four times the threads. */
const WIDE_COLS = 1024;

function dispatch(kernels: KernelContext, call: {
  readonly constants: Readonly<Record<string, number | boolean>>;
  readonly numCols: number;
  readonly inPlace: boolean;
  readonly accumulate: boolean;
  readonly hasUnitOffset: boolean;
  readonly eps: number;
  readonly bindings: readonly GPUBuffer[];
  readonly workgroups: readonly [number, number, number];
}): Dispatch {
  const { subgroupSize, isSoftware } = kernels.capabilities;
  return {
    program: kernels.programs.get({ name: "rms_norm", source }, {
      ...call.constants,
      COLS: call.numCols,
      IN_PLACE: call.inPlace,
      ACCUMULATE: call.accumulate,
      UNIT_OFFSET: call.hasUnitOffset,
      EPS: f32Literal(call.eps),
      WORKGROUP_SIZE: isSoftware || call.numCols < WIDE_COLS ? 64 : 256,
      SUBGROUPS: kernels.tuning.useSubgroups && subgroupSize > 0,
      SUBGROUP_SIZE: subgroupSize,
    }),
    bindings: [kernels.step, ...call.bindings],
    workgroups: call.workgroups,
  };
}
