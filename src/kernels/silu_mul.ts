import source from "../../shaders/silu_mul.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";

/** y = silu(gate) * up: gateUp f32 [numTokens, 2 * numCols] to y f32 [numTokens, numCols]. */
export function siluMul(
  kernels: KernelContext,
  call: {
    readonly gateUp: GPUBuffer;
    readonly y: GPUBuffer;
    readonly numCols: number;
    readonly numTokens: number;
  },
): Dispatch {
  return {
    program: kernels.programs.get({ name: "silu_mul", source }, { COLS: call.numCols }),
    bindings: [kernels.step, call.gateUp, call.y],
    workgroups: [divideUp(call.numCols, 64), call.numTokens, 1],
  };
}
