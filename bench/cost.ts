/**
 * What a kernel has to move and compute at least, whatever its shader does: each operand is read or
 * written once.
 *
 * @module
 */
import type { WeightFormat } from "../src/core.ts";
import { planeBytes } from "../src/formats/weight_format.ts";
import type { Ceilings } from "./ceilings.ts";

/** Bytes moved and floating-point operations, a multiply-add counted as two. */
export interface Cost {
  readonly bytes: number;
  readonly flops: number;
}

/** Time against the ceiling that is nearest: memory or arithmetic. */
export interface Rating {
  readonly gbPerS?: number;
  readonly gflops?: number;
  readonly ceiling: number;
  readonly share: number;
}

/** Rates `cost` done in `elapsedMs`. */
export function rate(cost: Cost, elapsedMs: number, ceilings: Ceilings): Rating {
  const gbPerS = cost.bytes / elapsedMs / 1e6;
  const gflops = cost.flops / elapsedMs / 1e6;
  const memoryShare = gbPerS / ceilings.gbPerS;
  const arithmeticShare = gflops / ceilings.gflops;
  return memoryShare >= arithmeticShare
    ? { gbPerS: round(gbPerS), ceiling: round(ceilings.gbPerS), share: round(memoryShare) }
    : { gflops: round(gflops), ceiling: round(ceilings.gflops), share: round(arithmeticShare) };
}

/** The least time for `cost`, in milliseconds. */
export function boundMs(cost: Cost, ceilings: Ceilings): number {
  return Math.max(cost.bytes / ceilings.gbPerS, cost.flops / ceilings.gflops) / 1e6;
}

/** Three or four digits are all that a measurement has. */
export function round(value: number): number {
  return Number(value.toPrecision(4));
}

/** Sum of costs. */
export function addCosts(costs: readonly Cost[]): Cost {
  return {
    bytes: costs.reduce((total, cost) => total + cost.bytes, 0),
    flops: costs.reduce((total, cost) => total + cost.flops, 0),
  };
}

/** Bytes of a matrix on the GPU. */
export function weightBytes(format: WeightFormat, numRows: number, numCols: number): number {
  return planeBytes(format, numRows, numCols).reduce((total, bytes) => total + bytes, 0);
}

/** y = W x for `numTokens` rows of x. */
export function projectionCost(call: {
  readonly format: WeightFormat;
  readonly numRows: number;
  readonly numCols: number;
  readonly numTokens: number;
  /** Whether y is read too. */
  readonly accumulate?: boolean;
}): Cost {
  const { format, numRows, numCols, numTokens } = call;
  const outputs = numRows * (call.accumulate ? 2 : 1);
  return {
    bytes: weightBytes(format, numRows, numCols) + 4 * numTokens * (numCols + outputs),
    flops: 2 * numRows * numCols * numTokens,
  };
}

/** Rows of an embedding, looked up. */
export function embedCost(format: WeightFormat, numCols: number, numTokens: number): Cost {
  return { bytes: weightBytes(format, numTokens, numCols) + 4 * numTokens * numCols, flops: 0 };
}

/** A norm of `numElements`, read and written. */
export function normCost(numElements: number): Cost {
  return { bytes: 8 * numElements, flops: 4 * numElements };
}

/**
 * Attention of `numQueries` tokens, each of which sees `numSeen` positions. Sequences and tiles of
 * `queriesPerRead` tokens read K and V once.
 */
export function attentionCost(call: {
  readonly numQueries: number;
  readonly numSeen: number;
  readonly queriesPerRead: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly isF16: boolean;
}): Cost {
  const { numQueries, numSeen, numHeads, numKvHeads, headDim } = call;
  const numReads = Math.ceil(numQueries / call.queriesPerRead);
  const cacheBytes = 2 * numReads * numSeen * numKvHeads * headDim * (call.isF16 ? 2 : 4);
  return {
    bytes: cacheBytes + 8 * numQueries * numHeads * headDim,
    flops: 4 * numQueries * numSeen * numHeads * headDim,
  };
}

/** Latent attention of `numQueries` tokens that see `numSeen` rows each, of `numRows` of the cache. */
export function latentAttentionCost(call: {
  readonly numQueries: number;
  readonly numSeen: number;
  readonly numRows: number;
  readonly numHeads: number;
  readonly latentDim: number;
  readonly ropeDim: number;
  readonly isF16: boolean;
}): Cost {
  const { numQueries, numSeen, numHeads, latentDim, ropeDim } = call;
  const width = latentDim + ropeDim;
  return {
    bytes: call.numRows * width * (call.isF16 ? 2 : 4) +
      4 * numQueries * numHeads * (width + latentDim),
    flops: 2 * numQueries * numSeen * numHeads * (width + latentDim),
  };
}
