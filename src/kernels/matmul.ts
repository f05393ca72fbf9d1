import source from "../../shaders/matmul.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";
import { projectionBindings, type ProjectionCall, projectionConstants } from "./projection_call.ts";

/** Rows and columns of y that a workgroup computes. */
const TILE = 64;

/** y = W x for each row of x, meant for many: one dispatch for each part of the weight. */
export function matmul(kernels: KernelContext, call: ProjectionCall): Dispatch[] {
  return call.weight.parts.map((part) => ({
    program: kernels.programs.get({ name: "matmul", source }, {
      ...projectionConstants(call, part),
      TILE_F16: kernels.tuning.useF16Tiles && kernels.capabilities.hasF16,
    }),
    bindings: projectionBindings(kernels, call, part),
    workgroups: [divideUp(part.numRows, TILE), divideUp(call.numRows, TILE), 1],
  }));
}
