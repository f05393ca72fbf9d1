import source from "../../shaders/causal_conv.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";
import type { LinearShape } from "../core.ts";
import { convColumns, linearConstants } from "./linear_shape.ts";

/** silu of a causal depthwise convolution of every token's queries, keys and values. */
export function causalConv(
  kernels: KernelContext,
  call: {
    readonly shape: LinearShape;
    /** TokenRow [numTokens]. */
    readonly tokenRows: GPUBuffer;
    /** vec4u [slices]: first row, rows, position of first, slot. */
    readonly slices: GPUBuffer;
    /** f32 [numTokens, projectedColumns], by key head: query, key, its values, their gates. */
    readonly projected: GPUBuffer;
    /** f32 [convColumns, convKernel]. */
    readonly weight: GPUBuffer;
    /** f32 [slots, convKernel - 1, convColumns]: the last inputs. */
    readonly states: GPUBuffer;
    /** f32 [numTokens, convColumns]: queries, keys, values. */
    readonly mixed: GPUBuffer;
    readonly numTokens: number;
  },
): Dispatch {
  const { shape, tokenRows, slices, projected, weight, states, mixed } = call;
  return {
    program: kernels.programs.get({ name: "causal_conv", source }, {
      ...linearConstants(shape),
      KERNEL: shape.convKernel,
    }),
    bindings: [kernels.step, tokenRows, slices, projected, weight, states, mixed],
    workgroups: [divideUp(convColumns(shape), 64), call.numTokens, 1],
  };
}
