/**
 * What passes between a batch of seeds and the workers that run them.
 *
 * @module
 */
import type { Invariant } from "./invariant_error.ts";

/** Seeds [first, first + count). */
export interface SeedRange {
  readonly first: number;
  readonly count: number;
}

/** What one seed came to. */
export interface SeedResult {
  readonly seed: number;
  readonly hash: number;
  readonly numSteps: number;
  readonly numFaults: number;
  readonly failure: { readonly invariant: Invariant; readonly message: string } | null;
}

/** What a range came to. */
export interface RangeResult {
  readonly results: readonly SeedResult[];
  readonly reach: readonly (readonly [string, number])[];
}
