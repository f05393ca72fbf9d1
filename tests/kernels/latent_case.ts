import type { WeightFormat } from "../../src/core.ts";
import type { LatentHeads } from "../../src/kernels/latent_heads.ts";
import type { LatentShape } from "./latent_reference.ts";
import type { TestGpu } from "./gpu.ts";
import { Random } from "./random.ts";
import { randomWeight } from "./weights.ts";

export const THETA = 10_000;
const MAX_POSITIONS = 200;

/** (cos, sin) of each position and pair. */
export function angleTable(rotaryDim: number): Float32Array<ArrayBuffer> {
  const half = rotaryDim / 2;
  return Float32Array.from({ length: MAX_POSITIONS * rotaryDim }, (_, at) => {
    const pair = Math.floor(at / 2);
    const angle = Math.floor(pair / half) * THETA ** (-2 * (pair % half) / rotaryDim);
    return at % 2 === 0 ? Math.cos(angle) : Math.sin(angle);
  });
}

/** TokenRow of each position, sequence 0, slots as given or none. */
export function tokenRowsOf(
  positions: readonly number[],
  slots: readonly number[] = [],
): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(positions.flatMap((position, i) => [position, 0, slots[i] ?? 0]));
}

/** A kv_b matrix whose rows are cut into parts of these sizes; the last part takes the rest. */
export async function latentHeads(
  gpu: TestGpu,
  shape: LatentShape,
  { format, cuts = [] }: { readonly format: WeightFormat; readonly cuts?: readonly number[] },
): Promise<LatentHeads & { readonly values: Float32Array<ArrayBuffer> }> {
  const numRows = shape.numHeads * (shape.nopeDim + shape.valueDim);
  const rest = numRows - cuts.reduce((sum, cut) => sum + cut, 0);
  const { weight, values } = await randomWeight(gpu, new Random(numRows), {
    numCols: shape.latentDim,
    parts: [...cuts, rest].map((rows) => ({ format, numRows: rows })),
  });
  return { ...shape, weight, values };
}

/** Shapes that are no multiple of any tile. */
export const LATENT_SHAPES: readonly LatentShape[] = [
  { numHeads: 1, latentDim: 4, nopeDim: 1, ropeDim: 4, valueDim: 1 },
  { numHeads: 3, latentDim: 36, nopeDim: 10, ropeDim: 12, valueDim: 7 },
  { numHeads: 2, latentDim: 33, nopeDim: 5, ropeDim: 6, valueDim: 4 },
  { numHeads: 4, latentDim: 32, nopeDim: 32, ropeDim: 16, valueDim: 24 },
  { numHeads: 5, latentDim: 544, nopeDim: 20, ropeDim: 64, valueDim: 18 },
];
