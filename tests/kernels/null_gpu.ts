/**
 * Dawn's null backend: it validates every shader and pipeline, with all features, and runs nothing.
 *
 * @module
 */
import { create, globals } from "webgpu";
import type { GpuContext } from "../../src/gpu/context.ts";

const FEATURES = ["shader-f16", "subgroups"] as const;

/** Opens a device with f16, subgroups of `subgroupSize`, and no more than WebGPU's own limits. */
export async function openNullGpu(subgroupSize: number): Promise<GpuContext> {
  Object.assign(globalThis, globals);
  const gpu: GPU = create(["backend=null"]);
  const adapter = await gpu.requestAdapter();
  if (adapter === null) throw new Error("Dawn has no null backend");
  const device = await adapter.requestDevice({
    requiredFeatures: FEATURES as unknown as GPUFeatureName[],
  });
  // When the object that create() made is collected, the process aborts.
  const holder = globalThis as { __nullGpus?: GPU[] };
  (holder.__nullGpus ??= []).push(gpu);
  return {
    device,
    capabilities: {
      backend: "dawn",
      adapterName: "null",
      isSoftware: true,
      hasF16: true,
      subgroupSize,
      hasTimestamps: false,
      maxBindingBytes: device.limits.maxStorageBufferBindingSize,
      maxBufferBytes: device.limits.maxBufferSize,
    },
    wait: (promise) => promise,
    lost: new Promise(() => {}),
    destroy: () => device.destroy(),
  };
}
