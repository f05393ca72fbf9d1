import type { LinearShape } from "../../src/core.ts";
import { CHUNK_ROWS, solutionColumns } from "../../src/kernels/delta_solve.ts";
import { convColumns, projectedColumns } from "../../src/kernels/linear_shape.ts";
import type { Cost } from "../cost.ts";
import { deltaRuleCost } from "../family_cost.ts";
import type { Operands } from "../operands.ts";

/** The linear attention of Qwen3-Next-80B-A3B, whatever the other kernels are benched for. */
export const LINEAR_SHAPE: LinearShape = {
  numKeyHeads: 16,
  numValueHeads: 32,
  keyDim: 128,
  valueDim: 128,
  convKernel: 4,
};

/** Slices of equal length that continue sequences. */
export interface LinearBatch {
  readonly numSlices: number;
  readonly tokensEach: number;
}

/** Decodes alone and together, and a prefill. */
export function linearBatches(manyTokens: number): LinearBatch[] {
  return [
    { numSlices: 1, tokensEach: 1 },
    { numSlices: 8, tokensEach: 1 },
    { numSlices: 1, tokensEach: manyTokens },
  ];
}

/** For people. */
export function linearName({ numSlices, tokensEach }: LinearBatch): string {
  const { numValueHeads, keyDim, valueDim } = LINEAR_SHAPE;
  return `${numSlices} x ${tokensEach}, ${numValueHeads} heads of ${keyDim}x${valueDim}`;
}

/** What the rule costs in either form. */
export function deltaCost({ numSlices, tokensEach }: LinearBatch): Cost {
  return deltaRuleCost(LINEAR_SHAPE, { numTokens: numSlices * tokensEach, numSlices });
}

/** Prompts alone and together, in chunks. */
export function chunkedBatches(manyTokens: number): LinearBatch[] {
  return [{ numSlices: 1, tokensEach: manyTokens }, { numSlices: 4, tokensEach: manyTokens }];
}

/** Where the chunks of such a batch are, and what is found for them. */
export async function chunkOperands(operands: Operands, { numSlices, tokensEach }: LinearBatch) {
  const numTokens = numSlices * tokensEach;
  const chunks: number[] = [];
  for (let slice = 0; slice < numSlices; slice++) {
    for (let i = 0; i < tokensEach; i += CHUNK_ROWS) {
      chunks.push(slice * tokensEach + i, Math.min(CHUNK_ROWS, tokensEach - i));
    }
  }
  return {
    chunks: await operands.bytes(Uint32Array.from(chunks)),
    solutions: await operands.floats(numTokens * solutionColumns(LINEAR_SHAPE)),
    numChunks: chunks.length / 2,
  };
}

/** The tables of such a batch, and its rows. */
export async function linearOperands(operands: Operands, { numSlices, tokensEach }: LinearBatch) {
  const numTokens = numSlices * tokensEach;
  operands.step({ numTokens, numSamples: 0 });
  const tokens = Array.from({ length: numTokens }, (_, i) => i);
  const slices = Array.from({ length: numSlices }, (_, i) => i);
  return {
    shape: LINEAR_SHAPE,
    ...{ numTokens, numSlices },
    tokenRows: await operands.bytes(
      Uint32Array.from(tokens.flatMap((i) => [99 + i, Math.floor(i / tokensEach), 0])),
    ),
    slices: await operands.bytes(
      Uint32Array.from(slices.flatMap((i) => [i * tokensEach, tokensEach, 99, i])),
    ),
    projected: await operands.floats(numTokens * projectedColumns(LINEAR_SHAPE)),
    mixed: await operands.floats(numTokens * convColumns(LINEAR_SHAPE)),
  };
}
