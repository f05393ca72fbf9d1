import source from "../../shaders/rope.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";

/** Rotary position embedding (arXiv 2104.09864) of queries and keys, in place. */
export function rope(
  kernels: KernelContext,
  call: {
    /** TokenRow [numTokens]. */
    readonly tokenRows: GPUBuffer;
    /** (cos, sin) f32 [positions, rotaryDim / 2, 2], from `ropeAngles`. */
    readonly angles: GPUBuffer;
    /** f32 [numTokens, stride]; the rotated heads come first in each row. */
    readonly qkv: GPUBuffer;
    readonly stride: number;
    readonly numRotatedHeads: number;
    readonly headDim: number;
    readonly rotaryDim: number;
    /** Pairs are (2i, 2i + 1), else (i, i + rotaryDim / 2). */
    readonly isInterleaved: boolean;
    readonly numTokens: number;
  },
): Dispatch {
  return {
    program: kernels.programs.get({ name: "rope", source }, {
      STRIDE: call.stride,
      NUM_ROTATED_HEADS: call.numRotatedHeads,
      HEAD_DIM: call.headDim,
      ROTARY_DIM: call.rotaryDim,
      INTERLEAVED: call.isInterleaved,
    }),
    bindings: [kernels.step, call.tokenRows, call.angles, call.qkv],
    workgroups: [divideUp(call.numRotatedHeads * call.rotaryDim / 2, 64), call.numTokens, 1],
  };
}
