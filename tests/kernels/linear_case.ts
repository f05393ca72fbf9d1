import type { LinearShape } from "../../src/core.ts";
import type { LinearSlice } from "./linear_reference.ts";
import type { TestGpu } from "./gpu.ts";
import type { Random } from "./random.ts";

/** Shapes that fit no tile, and Qwen3-Next's heads. */
export const LINEAR_SHAPES: readonly LinearShape[] = [
  { numKeyHeads: 1, numValueHeads: 1, keyDim: 4, valueDim: 3, convKernel: 2 },
  { numKeyHeads: 2, numValueHeads: 4, keyDim: 16, valueDim: 16, convKernel: 4 },
  { numKeyHeads: 3, numValueHeads: 9, keyDim: 37, valueDim: 21, convKernel: 5 },
  { numKeyHeads: 1, numValueHeads: 2, keyDim: 128, valueDim: 128, convKernel: 4 },
];

/** What `numTokens` of each slice of a batch stand on. */
export interface SliceSpec {
  readonly numTokens: number;
  readonly startPosition: number;
  readonly slot: number;
}

/** Fresh and continued sequences, shorter and longer than any convolution, slots not in order. */
export const SLICES: readonly SliceSpec[] = [
  { numTokens: 1, startPosition: 9, slot: 4 },
  { numTokens: 7, startPosition: 0, slot: 1 },
  { numTokens: 2, startPosition: 0, slot: 5 },
  { numTokens: 19, startPosition: 3, slot: 0 },
  { numTokens: 3, startPosition: 16, slot: 2 },
];

/** One more than the slots in use: it must stay as it is. */
export const NUM_SLOTS = 6;

/** The tables of a batch on the GPU. */
export async function sliceTables(gpu: TestGpu, specs: readonly SliceSpec[]) {
  const tokenRows: number[] = [];
  const slices: number[] = [];
  const firstRows: number[] = [];
  specs.forEach(({ numTokens, startPosition, slot }, sequence) => {
    const firstRow = tokenRows.length / 3;
    firstRows.push(firstRow);
    slices.push(firstRow, numTokens, startPosition, slot);
    for (let i = 0; i < numTokens; i++) tokenRows.push(startPosition + i, sequence, 0);
  });
  return {
    firstRows,
    numTokens: tokenRows.length / 3,
    tokenRows: await gpu.upload(Uint32Array.from(tokenRows)),
    slices: await gpu.upload(Uint32Array.from(slices)),
  };
}

/** Random states of every slot, and the slices that start from them. */
export function statesOf(
  random: Random,
  call: { readonly specs: readonly SliceSpec[]; readonly numCols: number },
): { states: Float32Array<ArrayBuffer>; slices: LinearSlice[] } {
  const { specs, numCols } = call;
  const states = random.floats(NUM_SLOTS * numCols);
  let firstRow = 0;
  const slices = specs.map(({ numTokens, startPosition, slot }) => {
    const slice = {
      firstRow,
      numTokens,
      state: startPosition === 0 ? null : states.slice(slot * numCols, (slot + 1) * numCols),
    };
    firstRow += numTokens;
    return slice;
  });
  return { states, slices };
}
