import type { Dispatch } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";
import { matmul, MOST_FEW } from "./matmul.ts";
import { matvec } from "./matvec.ts";
import type { ProjectionCall } from "./projection_call.ts";

/** From this many rows on, tiles that are computed together win over rows read together. */
const MATMUL_ROWS = 20;

/** Numbers of rows that have programs which no smaller number has, whatever the tuning. */
export const PROGRAM_ROWS = [1, 2, 4, 8, MATMUL_ROWS, MOST_FEW + 1] as const;

/**
 * y = W x (+ bias) (+ y) for each row of x. Deterministic runs use `matvec` alone: its order of
 * additions does not depend on how many rows there are.
 */
export function projection(kernels: KernelContext, call: ProjectionCall): Dispatch[] {
  const isMany = call.numRows >= MATMUL_ROWS && !kernels.tuning.isDeterministic;
  return isMany ? matmul(kernels, call) : matvec(kernels, call);
}
