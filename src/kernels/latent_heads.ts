import type { Constants } from "../gpu/preprocess.ts";
import type { Weight, WeightPart } from "../gpu/weight.ts";
import { latentRowConstants } from "./latent_cache.ts";
import { weightConstants } from "./projection_call.ts";

/** Heads whose keys and values follow from a latent by one matrix. */
export interface LatentHeads {
  readonly numHeads: number;
  /** Elements of a query or key head that do not turn, and those that do. */
  readonly nopeDim: number;
  readonly ropeDim: number;
  readonly valueDim: number;
  /** kv_b [numHeads * (nopeDim + valueDim), latentDim]: each head's key rows, then its value rows. */
  readonly weight: Weight;
}

/** The constants of a kernel that multiplies with one part of `weight`. */
export function latentHeadConstants(heads: LatentHeads, part: WeightPart): Constants {
  return {
    ...weightConstants(part, heads.weight.numCols),
    ...latentRowConstants({ latentDim: heads.weight.numCols, ropeDim: heads.ropeDim }),
    START_ROW: part.startRow,
    NUM_HEADS: heads.numHeads,
    NOPE_DIM: heads.nopeDim,
    ROPE_DIM: heads.ropeDim,
    VALUE_DIM: heads.valueDim,
  };
}
