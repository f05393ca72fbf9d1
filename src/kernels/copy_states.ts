import source from "../../shaders/copy_states.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import { foldWorkgroups, type KernelContext } from "./context.ts";

/** Copies whole states of a layer, by the list that `packPairs` made: none is source and target. */
export function copyStates(
  kernels: KernelContext,
  call: {
    /** 32-bit words [slots, numCols]. */
    readonly states: GPUBuffer;
    readonly numCols: number;
    readonly pairs: GPUBuffer;
  },
): Dispatch {
  const { states, numCols, pairs } = call;
  return {
    program: kernels.programs.get({ name: "copy_states", source }, { COLS: numCols }),
    bindings: [kernels.step, pairs, states],
    workgroups: foldWorkgroups(divideUp(numCols, 64), 1),
  };
}
