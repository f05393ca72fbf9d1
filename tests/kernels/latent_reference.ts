/**
 * What the kernels of latent attention must compute, as tests/reference.ts has it for the others.
 *
 * @module
 */
import { latentWidth } from "../../src/kernels/latent_cache.ts";
import {
  type Expected,
  projectionReference,
  rmsNormReference,
  ropeReference,
} from "../reference.ts";

/** Half a unit in the last place of f32, relative. */
const ROUNDOFF = 2 ** -24;

/** What latent attention is made of; the heads' keys and values are `weight` times a latent. */
export interface LatentShape {
  readonly numHeads: number;
  readonly latentDim: number;
  readonly nopeDim: number;
  readonly ropeDim: number;
  readonly valueDim: number;
}

/** How keys and queries turn. */
interface TurnedTokens {
  readonly positions: readonly number[];
  readonly theta: number;
  readonly isInterleaved: boolean;
}

/** Rows of the latent cache: rows [latent, key] after norm and rope, [tokens, latentDim + ropeDim]. */
export function latentRowsReference(
  projected: Float32Array,
  call: TurnedTokens & {
    readonly latentDim: number;
    readonly ropeDim: number;
    readonly normWeight: Float32Array;
    readonly eps: number;
  },
): Expected {
  const { latentDim, ropeDim, normWeight, eps } = call;
  const stride = latentDim + ropeDim;
  const normed = rmsNormReference(projected, { weight: normWeight, eps, stride });
  const keys = columnsOf(projected, { stride, start: latentDim, end: stride });
  const turned = turnedHeads(keys, { ...call, numHeads: 1 });
  return {
    values: joinColumns(normed.values, turned.values, { stride, start: latentDim }),
    bounds: joinColumns(normed.bounds, turned.bounds, { stride, start: latentDim }),
  };
}

/**
 * Queries of latents from queries of heads [tokens, numHeads, nopeDim + ropeDim]: each head's key rows
 * of `weight`, transposed, times its plain part; then its turned part.
 */
export function latentQueryReference(
  q: Float32Array,
  call: LatentShape & TurnedTokens & {
    /** f32 [numHeads, nopeDim + valueDim, latentDim]. */
    readonly weight: Float32Array;
  },
): Expected {
  const { numHeads, latentDim, nopeDim, ropeDim, valueDim, weight } = call;
  const stride = nopeDim + ropeDim;
  const width = latentDim + ropeDim;
  const numRows = q.length / stride;
  const values = new Float64Array(numRows * width);
  const bounds = new Float64Array(numRows * width);
  for (let row = 0; row < numRows; row++) {
    const firstRow = row % numHeads * (nopeDim + valueDim);
    for (let c = 0; c < latentDim; c++) {
      let products = 0;
      for (let d = 0; d < nopeDim; d++) {
        const product = q[row * stride + d]! * weight[(firstRow + d) * latentDim + c]!;
        values[row * width + c]! += product;
        products += Math.abs(product);
      }
      bounds[row * width + c] = (nopeDim + 4) * ROUNDOFF * products;
    }
  }
  const turned = turnedHeads(columnsOf(q, { stride, start: nopeDim, end: stride }), call);
  return {
    values: joinColumns(values, turned.values, { stride: width, start: latentDim }),
    bounds: joinColumns(bounds, turned.bounds, { stride: width, start: latentDim }),
  };
}

/** Values of heads: each head's value rows of `weight` times what it saw, [tokens, numHeads, stride]. */
export function latentValueReference(
  seen: Float32Array,
  call: LatentShape & { readonly weight: Float32Array },
): Expected {
  const { numHeads, latentDim, nopeDim, ropeDim, valueDim, weight } = call;
  const stride = latentDim + ropeDim;
  const numRows = seen.length / stride;
  const values = new Float64Array(numRows * valueDim);
  const bounds = new Float64Array(numRows * valueDim);
  for (let row = 0; row < numRows; row++) {
    const first = (row % numHeads * (nopeDim + valueDim) + nopeDim) * latentDim;
    const own = projectionReference(weight.subarray(first, first + valueDim * latentDim), {
      numCols: latentDim,
      x: seen.subarray(row * stride, row * stride + latentDim),
    });
    values.set(own.values, row * valueDim);
    bounds.set(own.bounds, row * valueDim);
  }
  return { values, bounds };
}

/**
 * Rows [latentDim + ropeDim] as the kernels keep them: latent and key each with zeros behind them, up
 * to a multiple of 4.
 */
export function wholeQuads<T extends Float32Array | Float64Array>(
  rows: T,
  { latentDim, ropeDim }: { readonly latentDim: number; readonly ropeDim: number },
): T {
  const [stride, keyAt] = [latentDim + ropeDim, Math.ceil(latentDim / 4) * 4];
  const width = latentWidth({ latentDim, ropeDim });
  const Rows = rows.constructor as new (length: number) => T;
  const wide = new Rows(rows.length / stride * width);
  for (let from = 0, to = 0; from < rows.length; from += stride, to += width) {
    wide.set(rows.subarray(from, from + latentDim), to);
    wide.set(rows.subarray(from + latentDim, from + stride), to + keyAt);
  }
  return wide;
}

/** Turns all of each head of x [tokens, numHeads, ropeDim]. */
function turnedHeads(
  x: Float32Array,
  call: TurnedTokens & { readonly numHeads: number; readonly ropeDim: number },
): Expected {
  const { numHeads, ropeDim, positions, theta, isInterleaved } = call;
  const stride = numHeads * ropeDim;
  const heads = { numHeads, headDim: ropeDim, rotaryDim: ropeDim };
  return ropeReference(x, { ...heads, positions, stride, theta, isInterleaved });
}

/** Columns [start, end) of rows of `stride`. */
function columnsOf(
  x: Float32Array,
  { stride, start, end }: { readonly stride: number; readonly start: number; readonly end: number },
): Float32Array {
  const width = end - start;
  return Float32Array.from(
    { length: x.length / stride * width },
    (_, at) => x[Math.floor(at / width) * stride + start + at % width]!,
  );
}

/** `left` with `right` in place of its columns from `start` on. */
function joinColumns(
  left: Float64Array,
  right: Float64Array,
  { stride, start }: { readonly stride: number; readonly start: number },
): Float64Array {
  const width = stride - start;
  return left.map((value, at) =>
    at % stride < start ? value : right[Math.floor(at / stride) * width + at % stride - start]!
  );
}
