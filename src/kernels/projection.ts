import type { Dispatch } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";
import { MANY_ROWS, matmul, MOST_FEW } from "./matmul.ts";
import { matvec } from "./matvec.ts";
import type { ProjectionCall } from "./projection_call.ts";

/** From this many rows of x on, tiles that are computed together win over rows read together. */
const MATMUL_ROWS = 20;
/** The same for a weight of very many rows. */
const MATMUL_ROWS_OF_MANY = 12;

/** Numbers of rows that have programs which no smaller number has, whatever the tuning. */
export const PROGRAM_ROWS = [
  ...[1, 2, 4, 8],
  ...[MATMUL_ROWS_OF_MANY, MATMUL_ROWS, MOST_FEW + 1],
] as const;

/**
 * y = W x (+ bias) (+ y) for each row of x. Deterministic runs use `matvec` alone: its order of
 * additions does not depend on how many rows there are.
 */
export function projection(kernels: KernelContext, call: ProjectionCall): Dispatch[] {
  const least = call.weight.numRows < MANY_ROWS ? MATMUL_ROWS : MATMUL_ROWS_OF_MANY;
  const isMany = call.numRows >= least && !kernels.tuning.isDeterministic;
  return isMany ? matmul(kernels, call) : matvec(kernels, call);
}
