import { PROGRAM_ROWS } from "../kernels/projection.ts";

/** Numbers of tokens, and of sampled rows, of which each has kernels that no smaller step has. */
export const STEP_SIZES: readonly number[] = PROGRAM_ROWS;
