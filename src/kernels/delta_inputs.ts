import source from "../../shaders/delta_inputs.wgsl" with { type: "text" };
import type { Dispatch } from "../gpu/dispatch.ts";
import { f32Literal } from "../gpu/f32_literal.ts";
import type { KernelContext } from "./context.ts";
import type { LinearShape } from "../core.ts";
import { convColumns } from "./linear_shape.ts";

/**
 * Unit queries and keys (queries times keyDim^-0.5), in place, and the gates of the delta rule:
 * decay, rate, and the product of key and query of each value head.
 */
export function deltaInputs(
  kernels: KernelContext,
  call: {
    readonly shape: LinearShape;
    /** f32 [numTokens, 2 * numValueHeads], by key head: b, then a, of its value heads. */
    readonly rates: GPUBuffer;
    /** f32 [numValueHeads], both. */
    readonly aLog: GPUBuffer;
    readonly dtBias: GPUBuffer;
    /** f32 [numTokens, convColumns]: queries, keys, values. */
    readonly mixed: GPUBuffer;
    /** vec4f [numTokens, numValueHeads]. */
    readonly gates: GPUBuffer;
    readonly numTokens: number;
  },
): Dispatch {
  const { shape } = call;
  const { subgroupSize } = kernels.capabilities;
  return {
    program: kernels.programs.get({ name: "delta_inputs", source }, {
      NUM_KEY_HEADS: shape.numKeyHeads,
      HEADS_PER_KEY: shape.numValueHeads / shape.numKeyHeads,
      KEY_DIM: shape.keyDim,
      STRIDE: convColumns(shape),
      SCALE: f32Literal(1 / Math.sqrt(shape.keyDim)),
      WORKGROUP_SIZE: 64,
      SUBGROUPS: kernels.tuning.useSubgroups && subgroupSize > 0,
      SUBGROUP_SIZE: subgroupSize,
    }),
    bindings: [kernels.step, call.rates, call.aLog, call.dtBias, call.mixed, call.gates],
    workgroups: [shape.numKeyHeads, call.numTokens, 1],
  };
}
