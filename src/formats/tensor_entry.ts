/**
 * Where a tensor lies in a file.
 *
 * @module
 */
import type { WeightFormat } from "../core.ts";

/** A tensor whose format kernels read. */
export interface TensorEntry {
  readonly name: string;
  readonly format: WeightFormat;
  /** Row-major, outermost dimension first; empty for a scalar. */
  readonly shape: readonly number[];
  /** First byte, from the start of the file. */
  readonly offset: number;
  readonly byteLength: number;
}

/** A tensor as a file lists it: its type may be one that no kernel reads. */
export interface ListedTensor extends Omit<TensorEntry, "format"> {
  readonly format: WeightFormat | null;
  /** The type as the file format calls it, such as "Q5_K" or "I64". */
  readonly typeName: string;
}

/** Product of `dims`, or null when it is no safe integer. */
export function countElements(dims: readonly number[]): number | null {
  let numElements = 1;
  for (const dim of dims) {
    numElements *= dim;
    if (!Number.isSafeInteger(numElements)) return null;
  }
  // A zero dimension must not hide that the others overflow.
  return numElements === 0 && countElements(dims.filter((dim) => dim !== 0)) === null
    ? null
    : numElements;
}

/** The first two of `tensors` that share bytes, or null. */
export function findOverlap(
  tensors: Iterable<ListedTensor>,
): readonly [ListedTensor, ListedTensor] | null {
  const sorted = [...tensors].filter(({ byteLength }) => byteLength > 0)
    .sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < sorted.length; i++) {
    const previous = sorted[i - 1]!;
    const tensor = sorted[i]!;
    if (previous.offset + previous.byteLength > tensor.offset) return [previous, tensor];
  }
  return null;
}
