import source from "../../shaders/kv_store.wgsl" with { type: "text" };
import { type Dispatch, divideUp } from "../gpu/dispatch.ts";
import type { KernelContext } from "./context.ts";
import { type KvCache, kvConstants } from "./kv_cache.ts";

/** Writes K and V of every token to its slot of the cache. */
export function kvStore(
  kernels: KernelContext,
  call: {
    readonly cache: KvCache;
    /** TokenRow [numTokens]. */
    readonly tokenRows: GPUBuffer;
    /** f32 [numTokens, stride]: K starts at `keyOffset`, V follows it. */
    readonly qkv: GPUBuffer;
    readonly stride: number;
    readonly keyOffset: number;
    readonly numTokens: number;
  },
): Dispatch {
  const { cache } = call;
  const numWords = cache.numKvHeads * cache.headDim / (cache.isF16 ? 2 : 1);
  return {
    program: kernels.programs.get({ name: "kv_store", source }, {
      ...kvConstants(cache),
      STRIDE: call.stride,
      K_OFFSET: call.keyOffset,
    }),
    bindings: [kernels.step, call.tokenRows, call.qkv, cache.k, cache.v],
    workgroups: [divideUp(numWords, 64), call.numTokens, 1],
  };
}
