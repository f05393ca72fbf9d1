import source from "../../shaders/copy_blocks.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";
import { kvBytes, type KvCache } from "./kv_cache.ts";
import { latentBytes, type LatentCache } from "./latent_cache.ts";

/**
 * Copies whole blocks of one layer, K and V or latents, by the list that `packPairs` made and in its order. A
 * kernel, since WebGPU copies nothing within one buffer.
 */
export function copyBlocks(
  kernels: KernelContext,
  { cache, pairs }: { readonly cache: KvCache | LatentCache; readonly pairs: GPUBuffer },
): Dispatch {
  const isPair = "k" in cache;
  const numUnits = (isPair ? kvBytes(cache, 1) : latentBytes(cache, 1)) / 16;
  return {
    program: kernels.programs.get({ name: "copy_blocks", source }, {
      BLOCK_UNITS: numUnits,
      PAIR: isPair,
    }),
    bindings: [kernels.step, pairs, ...(isPair ? [cache.k, cache.v] : [cache.latents])],
    workgroups: [divideUp(numUnits, 64), 1, 1],
  };
}
