import source from "../../shaders/delta_rule.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";
import type { LinearShape } from "../core.ts";
import { CHUNK_ROWS } from "./delta_solve.ts";
import { convColumns, linearConstants } from "./linear_shape.ts";

/** Columns of a state that a workgroup keeps, and threads that share a column. */
const COLUMNS = 16;
const PARTS = 8;

/** Gated delta rule (arXiv 2412.06464) over each slice's tokens, one after the other. */
export function deltaRule(
  kernels: KernelContext,
  call: {
    readonly shape: LinearShape;
    /** vec4u [numSlices]: first row, rows, position of first, slot. */
    readonly slices: GPUBuffer;
    /** f32 [tokens, convColumns]: queries and keys by `deltaInputs`, values. */
    readonly mixed: GPUBuffer;
    /** vec4f [tokens, numValueHeads], by `deltaInputs`. */
    readonly gates: GPUBuffer;
    /** f32 [slots, numValueHeads, keyDim, valueDim]. */
    readonly states: GPUBuffer;
    /** f32 [tokens, numValueHeads * valueDim]. */
    readonly out: GPUBuffer;
    readonly numSlices: number;
    /** Leaves slices of CHUNK_ROWS tokens or more as they are: `deltaChunks` does them. */
    readonly isOnlyShort?: boolean;
  },
): Dispatch {
  const { shape } = call;
  const rows = divideUp(shape.keyDim, PARTS);
  return {
    program: kernels.programs.get({ name: "delta_rule", source }, {
      ...linearConstants(shape),
      STRIDE: convColumns(shape),
      COLUMNS,
      PARTS,
      CHUNK: CHUNK_ROWS,
      ONLY_SHORT: call.isOnlyShort ?? false,
      ROWS: rows,
      ROWS_TAIL: rows * PARTS !== shape.keyDim,
    }),
    bindings: [kernels.step, call.slices, call.mixed, call.gates, call.states, call.out],
    workgroups: [shape.numValueHeads * divideUp(shape.valueDim, COLUMNS), call.numSlices, 1],
  };
}
