import source from "../../shaders/delta_solve.wgsl" with { type: "text" };
import type { Dispatch } from "../gpu/dispatch.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { KernelContext } from "./context.ts";
import type { LinearShape } from "../core.ts";
import { convColumns, linearConstants } from "./linear_shape.ts";

/** Tokens of a chunk; shorter slices are left to `deltaRule`. */
export const CHUNK_ROWS = 16;

/** f32 columns of what `deltaSolve` finds for each token: two rows of a chunk's square, two decays. */
export function solutionColumns({ numValueHeads }: LinearShape): number {
  return numValueHeads * (2 * CHUNK_ROWS + 2);
}

/** The constants that both kernels of the chunked form have. */
export function chunkConstants(shape: LinearShape): Constants {
  const stride = convColumns(shape);
  return {
    ...linearConstants(shape),
    STRIDE: stride,
    CHUNK: CHUNK_ROWS,
    KEY_TAIL: shape.keyDim % 4 !== 0 || stride % 4 !== 0,
  };
}

/** The part of the chunked delta rule (arXiv 2412.06464) that needs no state, for each chunk. */
export function deltaSolve(
  kernels: KernelContext,
  call: {
    readonly shape: LinearShape;
    /** vec2u [numChunks]: first row, rows. */
    readonly chunks: GPUBuffer;
    /** f32 [tokens, convColumns]: queries and keys by `deltaInputs`, values. */
    readonly mixed: GPUBuffer;
    /** vec4f [tokens, numValueHeads], by `deltaInputs`. */
    readonly gates: GPUBuffer;
    /** f32 [tokens, solutionColumns]. */
    readonly solutions: GPUBuffer;
    readonly numChunks: number;
  },
): Dispatch {
  const { shape, chunks, mixed, gates, solutions } = call;
  return {
    program: kernels.programs.get({ name: "delta_solve", source }, chunkConstants(shape)),
    bindings: [kernels.step, chunks, mixed, gates, solutions],
    workgroups: [shape.numValueHeads, call.numChunks, 1],
  };
}
