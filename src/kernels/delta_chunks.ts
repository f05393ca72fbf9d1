import source from "../../shaders/delta_chunks.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";
import type { LinearShape } from "../core.ts";
import { chunkConstants } from "./delta_solve.ts";

/** Columns of a state that a workgroup keeps, and threads that share a column. */
const COLUMNS = 8;
const PARTS = 8;

/**
 * Gated delta rule over every slice of CHUNK_ROWS tokens or more, a chunk at a time, with what
 * `deltaSolve` found for its chunks. Rows of shorter slices, and their states, stay as they are.
 */
export function deltaChunks(
  kernels: KernelContext,
  call: {
    readonly shape: LinearShape;
    /** vec4u [numSlices]: first row, rows, position of first, slot. */
    readonly slices: GPUBuffer;
    /** f32 [tokens, convColumns]: queries and keys by `deltaInputs`, values. */
    readonly mixed: GPUBuffer;
    /** f32 [tokens, solutionColumns]. */
    readonly solutions: GPUBuffer;
    /** f32 [slots, numValueHeads, keyDim, valueDim]. */
    readonly states: GPUBuffer;
    /** f32 [tokens, numValueHeads * valueDim]. */
    readonly out: GPUBuffer;
    readonly numSlices: number;
  },
): Dispatch {
  const { shape, slices, mixed, solutions, states, out } = call;
  const rowQuads = divideUp(shape.keyDim, 4 * PARTS);
  return {
    program: kernels.programs.get({ name: "delta_chunks", source }, {
      ...chunkConstants(shape),
      COLUMNS,
      PARTS,
      ROW_QUADS: rowQuads,
      ROWS_TAIL: rowQuads * 4 * PARTS !== shape.keyDim,
    }),
    bindings: [kernels.step, slices, mixed, solutions, states, out],
    workgroups: [shape.numValueHeads * divideUp(shape.valueDim, COLUMNS), call.numSlices, 1],
  };
}
