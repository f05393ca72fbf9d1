import { adapterName } from "../../src/gpu/context.ts";
import type { AdapterChoice } from "../../src/platform/platform.ts";

/** What the page tells of an adapter before it is opened. */
export interface AdapterSummary {
  readonly name: string;
  /** Empty where the browser does not tell. */
  readonly vendor: string;
  readonly architecture: string;
  /** Computes on the CPU. */
  readonly isSoftware: boolean;
  readonly hasF16: boolean;
  /** Lanes of a subgroup, smallest and largest; null without subgroups. */
  readonly subgroups: { readonly minSize: number; readonly maxSize: number } | null;
  readonly maxBufferBytes: number;
  readonly maxBindingBytes: number;
}

export function summarizeAdapter({ adapter, isSoftware }: AdapterChoice): AdapterSummary {
  const { info, features, limits } = adapter;
  return {
    name: adapterName(adapter),
    vendor: info.vendor,
    architecture: info.architecture,
    isSoftware,
    hasF16: features.has("shader-f16"),
    subgroups: features.has("subgroups" as GPUFeatureName)
      ? { minSize: info.subgroupMinSize, maxSize: info.subgroupMaxSize }
      : null,
    maxBufferBytes: limits.maxBufferSize,
    maxBindingBytes: limits.maxStorageBufferBindingSize,
  };
}
