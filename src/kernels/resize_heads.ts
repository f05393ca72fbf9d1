import source from "../../shaders/resize_heads.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";

/** Copies heads to heads of another size: cuts off their ends or puts zeros behind them. */
export function resizeHeads(
  kernels: KernelContext,
  call: {
    /** f32 [numTokens, numHeads * fromDim]. */
    readonly x: GPUBuffer;
    /** f32 [numTokens, numHeads * toDim]. */
    readonly y: GPUBuffer;
    readonly numHeads: number;
    readonly fromDim: number;
    readonly toDim: number;
    readonly numTokens: number;
  },
): Dispatch {
  const { numHeads, fromDim, toDim } = call;
  return {
    program: kernels.programs.get({ name: "resize_heads", source }, {
      NUM_HEADS: numHeads,
      FROM_DIM: fromDim,
      TO_DIM: toDim,
    }),
    bindings: [kernels.step, call.x, call.y],
    workgroups: [divideUp(numHeads * toDim, 64), call.numTokens, 1],
  };
}
