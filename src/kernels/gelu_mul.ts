import source from "../../shaders/gelu_mul.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";

/**
 * y = gelu(gate) * up, with the tanh form of gelu (arXiv 1606.08415): gateUp
 * f32 [numTokens, 2 * numCols] to y f32 [numTokens, numCols].
 */
export function geluMul(
  kernels: KernelContext,
  call: {
    readonly gateUp: GPUBuffer;
    readonly y: GPUBuffer;
    readonly numCols: number;
    readonly numTokens: number;
  },
): Dispatch {
  return {
    program: kernels.programs.get({ name: "gelu_mul", source }, { COLS: call.numCols }),
    bindings: [kernels.step, call.gateUp, call.y],
    workgroups: [divideUp(call.numCols, 64), call.numTokens, 1],
  };
}
