import source from "../../shaders/split_gate.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";

/** Copies what attention reads out of rows in which each query head has its gate beside it. */
export function splitGate(
  kernels: KernelContext,
  call: {
    /** f32 [numTokens, 2 * numHeads * headDim + numOthers]: query and gate of each head, then k, v. */
    readonly x: GPUBuffer;
    /** f32 [numTokens, numHeads * headDim + numOthers]. */
    readonly y: GPUBuffer;
    readonly numHeads: number;
    readonly headDim: number;
    readonly numOthers: number;
    readonly numTokens: number;
  },
): Dispatch {
  const { numHeads, headDim, numOthers } = call;
  return {
    program: kernels.programs.get({ name: "split_gate", source }, {
      NUM_HEADS: numHeads,
      HEAD_DIM: headDim,
      REST: numOthers,
    }),
    bindings: [kernels.step, call.x, call.y],
    workgroups: [divideUp(numHeads * headDim + numOthers, 64), call.numTokens, 1],
  };
}
