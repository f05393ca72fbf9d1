import source from "../../shaders/copy_tokens.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";

/** Copies token ids from `source` to `destination`, both u32, by the list that `packPairs` made. */
export function copyTokens(
  kernels: KernelContext,
  call: {
    /** At most `mostPairs`; no two have one destination. */
    readonly pairs: GPUBuffer;
    readonly mostPairs: number;
    readonly source: GPUBuffer;
    readonly destination: GPUBuffer;
  },
): Dispatch {
  return {
    program: kernels.programs.get({ name: "copy_tokens", source }, {}),
    bindings: [kernels.step, call.pairs, call.source, call.destination],
    workgroups: [divideUp(call.mostPairs, 64), 1, 1],
  };
}
