import type { LinearShape } from "../../src/core.ts";
import { CHUNK_ROWS } from "../../src/kernels/delta_solve.ts";
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

/** Those, and more widths of heads. */
export const CHUNKED_SHAPES: readonly LinearShape[] = [
  ...LINEAR_SHAPES,
  { numKeyHeads: 2, numValueHeads: 2, keyDim: 64, valueDim: 96, convKernel: 4 },
  { numKeyHeads: 1, numValueHeads: 3, keyDim: 192, valueDim: 16, convKernel: 4 },
];

/** Decays and rates of one kind for all tokens, (decay, rate) of token t. */
export const GATES: Readonly<Record<string, (t: number) => readonly [number, number]>> = {
  "that forget nothing": () => [1, 1],
  "that change nothing": () => [1, 0],
  "that underflow": (t) => [t % 3 === 0 ? 0 : 1e-30, 1],
  "of which some wipe the state": (t) => [t % 5 === 2 ? 0 : 0.999, 0.5],
};

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

/** Long slices of every remainder among short ones. */
export const LONG_SLICES: readonly SliceSpec[] = [
  { numTokens: 16, startPosition: 9, slot: 4 },
  { numTokens: 1, startPosition: 3, slot: 1 },
  { numTokens: 45, startPosition: 0, slot: 5 },
  { numTokens: 15, startPosition: 0, slot: 0 },
  { numTokens: 33, startPosition: 7, slot: 2 },
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

/** The chunks of the slices that are long enough, (first row, rows) of each. */
export async function chunkTable(gpu: TestGpu, specs: readonly SliceSpec[]) {
  const rows: (readonly [number, number])[] = [];
  let firstRow = 0;
  for (const { numTokens } of specs) {
    for (let i = 0; numTokens >= CHUNK_ROWS && i < numTokens; i += CHUNK_ROWS) {
      rows.push([firstRow + i, Math.min(CHUNK_ROWS, numTokens - i)]);
    }
    firstRow += numTokens;
  }
  return { rows, numChunks: rows.length, chunks: await gpu.upload(Uint32Array.from(rows.flat())) };
}
