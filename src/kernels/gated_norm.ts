import source from "../../shaders/gated_norm.wgsl" with { type: "text" };
import type { Dispatch } from "../gpu/dispatch.ts";
import { f32Literal } from "../gpu/f32_literal.ts";
import type { KernelContext } from "./context.ts";
import type { LinearShape } from "../core.ts";
import { projectedColumns } from "./linear_shape.ts";

/** RMS norm of every value head, in place, times silu of its gate in the projected row. */
export function gatedNorm(
  kernels: KernelContext,
  call: {
    readonly shape: LinearShape;
    /** f32 [valueDim]. */
    readonly weight: GPUBuffer;
    readonly eps: number;
    /** f32 [numTokens, projectedColumns], by key head: query, key, its values, their gates. */
    readonly projected: GPUBuffer;
    /** f32 [numTokens, numValueHeads * valueDim]. */
    readonly x: GPUBuffer;
    readonly numTokens: number;
  },
): Dispatch {
  const { numKeyHeads, numValueHeads, keyDim, valueDim } = call.shape;
  const groupHeads = numValueHeads / numKeyHeads;
  const { subgroupSize } = kernels.capabilities;
  return {
    program: kernels.programs.get({ name: "gated_norm", source }, {
      COLS: valueDim,
      NUM_HEADS: numValueHeads,
      GATE_STRIDE: projectedColumns(call.shape),
      GROUP_HEADS: groupHeads,
      GROUP_STRIDE: 2 * (keyDim + groupHeads * valueDim),
      GATE_OFFSET: 2 * keyDim + groupHeads * valueDim,
      EPS: f32Literal(call.eps),
      WORKGROUP_SIZE: 64,
      SUBGROUPS: kernels.tuning.useSubgroups && subgroupSize > 0,
      SUBGROUP_SIZE: subgroupSize,
    }),
    bindings: [kernels.step, call.weight, call.projected, call.x],
    workgroups: [numValueHeads, call.numTokens, 1],
  };
}
