import source from "../../shaders/silu_mul.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";

/**
 * y = silu(gate) * up: gateUp f32 [numTokens, 2 * numCols] to y f32 [numTokens, numCols]; times
 * sigmoid(rowGate) of each row where there is one.
 */
export function siluMul(
  kernels: KernelContext,
  call: {
    readonly gateUp: GPUBuffer;
    readonly y: GPUBuffer;
    /** f32 [numTokens]. */
    readonly rowGate?: GPUBuffer | null;
    readonly numCols: number;
    readonly numTokens: number;
  },
): Dispatch {
  const { rowGate = null } = call;
  return {
    program: kernels.programs.get({ name: "silu_mul", source }, {
      COLS: call.numCols,
      HAS_ROW_GATE: rowGate !== null,
    }),
    bindings: [kernels.step, call.gateUp, call.y, ...(rowGate ? [rowGate] : [])],
    workgroups: [divideUp(call.numCols, 64), call.numTokens, 1],
  };
}
