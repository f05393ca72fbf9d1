import type { LinearShape } from "../core.ts";
import type { Constants } from "../gpu/preprocess.ts";

/** Channels of the convolution: all queries, all keys, all values. */
export function convColumns(shape: LinearShape): number {
  return 2 * shape.numKeyHeads * shape.keyDim + valueColumns(shape);
}

/** Values of all heads. */
export function valueColumns({ numValueHeads, valueDim }: LinearShape): number {
  return numValueHeads * valueDim;
}

/** Queries, keys, values and output gates of a token, projected together by key head. */
export function projectedColumns(shape: LinearShape): number {
  return convColumns(shape) + valueColumns(shape);
}

/** f32 elements of one sequence's state: the convolution's last inputs, and the delta rule's matrices. */
export function stateColumns(
  shape: LinearShape,
): { readonly conv: number; readonly delta: number } {
  return {
    conv: (shape.convKernel - 1) * convColumns(shape),
    delta: valueColumns(shape) * shape.keyDim,
  };
}

/** The constants that the kernels of linear attention share. */
export function linearConstants(shape: LinearShape): Constants {
  return {
    NUM_KEY_HEADS: shape.numKeyHeads,
    NUM_VALUE_HEADS: shape.numValueHeads,
    KEY_DIM: shape.keyDim,
    VALUE_DIM: shape.valueDim,
  };
}
