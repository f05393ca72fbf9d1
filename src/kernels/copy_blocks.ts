import source from "../../shaders/copy_blocks.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";
import { kvBytes, type KvCache } from "./kv_cache.ts";

/**
 * Copies K and V of whole blocks of one layer, by the list that `packPairs` made and in its order. A
 * kernel, since WebGPU copies nothing within one buffer.
 */
export function copyBlocks(
  kernels: KernelContext,
  { cache, pairs }: { readonly cache: KvCache; readonly pairs: GPUBuffer },
): Dispatch {
  const numUnits = kvBytes(cache, 1) / 16;
  return {
    program: kernels.programs.get({ name: "copy_blocks", source }, { BLOCK_UNITS: numUnits }),
    bindings: [kernels.step, pairs, cache.k, cache.v],
    workgroups: [divideUp(numUnits, 64), 1, 1],
  };
}
