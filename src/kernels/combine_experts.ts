import source from "../../shaders/combine_experts.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";

/** Adds to y f32 [numTokens, numCols] what each token's experts gave, by weight. */
export function combineExperts(
  kernels: KernelContext,
  call: {
    /** f32 [numTokens, perToken, numCols]. */
    readonly x: GPUBuffer;
    /** f32 [numTokens, perToken]. */
    readonly weights: GPUBuffer;
    readonly y: GPUBuffer;
    readonly perToken: number;
    readonly numCols: number;
    readonly numTokens: number;
  },
): Dispatch {
  return {
    program: kernels.programs.get({ name: "combine_experts", source }, {
      COLS: call.numCols,
      PER_TOKEN: call.perToken,
    }),
    bindings: [kernels.step, call.x, call.weights, call.y],
    workgroups: [divideUp(call.numCols, 64), call.numTokens, 1],
  };
}
