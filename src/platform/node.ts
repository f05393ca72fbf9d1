/**
 * The Node runtime: Dawn through npm `webgpu`.
 *
 * @module
 */
import { listDawnAdapters } from "./dawn.ts";
import type { GpuProvider } from "./platform.ts";

/** WebGPU in Node, whose event loop turns by itself while Dawn works. */
export function nodeGpu(options: { readonly isTrusted: boolean }): GpuProvider {
  return {
    listAdapters: (wanted) => listDawnAdapters({ ...options, wanted, wait: (promise) => promise }),
  };
}
