import source from "../../shaders/gate_heads.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";

/** y *= sigmoid(gate), head by head. */
export function gateHeads(
  kernels: KernelContext,
  call: {
    /** f32 [numTokens, stride]: query and gate of each head come first. */
    readonly x: GPUBuffer;
    readonly stride: number;
    /** f32 [numTokens, numHeads * headDim]. */
    readonly y: GPUBuffer;
    readonly numHeads: number;
    readonly headDim: number;
    readonly numTokens: number;
  },
): Dispatch {
  const { stride, numHeads, headDim } = call;
  return {
    program: kernels.programs.get({ name: "gate_heads", source }, {
      STRIDE: stride,
      NUM_HEADS: numHeads,
      HEAD_DIM: headDim,
    }),
    bindings: [kernels.step, call.x, call.y],
    workgroups: [divideUp(numHeads * headDim, 64), call.numTokens, 1],
  };
}
