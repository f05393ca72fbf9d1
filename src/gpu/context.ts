/**
 * A WebGPU device and what it can do, as data.
 *
 * @module
 */
import type { AdapterChoice } from "../platform/platform.ts";

/** What kernels choose their variants from. Bytes unless said otherwise. */
export interface GpuCapabilities {
  readonly backend: AdapterChoice["backend"];
  /** Human-readable adapter name. */
  readonly adapterName: string;
  readonly isSoftware: boolean;
  /** f16 arithmetic and storage: the feature is there and the self-test passed. */
  readonly hasF16: boolean;
  /** Lanes of a subgroup when they are the same for all shaders, else 0. */
  readonly subgroupSize: number;
  readonly hasTimestamps: boolean;
  readonly maxBindingBytes: number;
  readonly maxBufferBytes: number;
}

/** A device that was opened, and how to wait for it. */
export interface GpuContext {
  readonly device: GPUDevice;
  readonly capabilities: GpuCapabilities;
  /** Waits for a promise of the device; waits of one `kind` are expected to last alike. */
  wait<T>(promise: Promise<T>, kind?: string): Promise<T>;
  /** Resolves, with the reason, when the device is gone. */
  readonly lost: Promise<GpuLostError>;
  destroy(): void;
}

/** The adapter asked for does not exist, or none does. */
export class NoAdapterError extends Error {
  override readonly name = "NoAdapterError";
}

/** The device ended: driver reset, sleep, or `destroy()`. */
export class GpuLostError extends Error {
  override readonly name = "GpuLostError";
}

/** The device refused an allocation. */
export class GpuMemoryError extends Error {
  override readonly name = "GpuMemoryError";
}

const WANTED_FEATURES = [
  "shader-f16",
  "subgroups",
  "subgroup-size-control",
  "timestamp-query",
  "chromium-experimental-subgroup-matrix",
] as const;

const WANTED_LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxStorageBuffersPerShaderStage",
] as const satisfies readonly (keyof GPUSupportedLimits)[];

/**
 * Picks an adapter: the best one, or the one whose name contains `wanted` (any case).
 * Throws a NoAdapterError that lists what there is.
 */
export function chooseAdapter(choices: readonly AdapterChoice[], wanted?: string): AdapterChoice {
  const found = wanted === undefined
    ? choices[0]
    : choices.find((choice) =>
      `${choice.backend} ${adapterName(choice.adapter)}`.toLowerCase().includes(
        wanted.toLowerCase(),
      )
    );
  if (found !== undefined) return found;
  const names = choices.map((c) => `"${adapterName(c.adapter)}" (${c.backend})`).join(", ");
  throw new NoAdapterError(
    choices.length === 0
      ? 'No WebGPU adapter found: install a GPU driver with Vulkan, or run "deno task setup" for the software adapter'
      : `No adapter matches "${wanted}": there is ${names}`,
  );
}

/** The adapter's name for people. Some runtimes give the device as a bare number. */
export function adapterName(adapter: GPUAdapter): string {
  const { device, description, vendor, architecture } = adapter.info;
  return [device, description].filter((text) => !/^(0x)?[0-9a-f]*$/i.test(text)).join(" | ") ||
    `${vendor} ${architecture}`.trim() || "unknown adapter";
}

/** Opens a device with every wanted feature and limit that the adapter has. */
export async function openContext(choice: AdapterChoice): Promise<GpuContext> {
  const { adapter } = choice;
  const features = WANTED_FEATURES.filter((name) => adapter.features.has(name));
  const requiredLimits = Object.fromEntries(
    WANTED_LIMITS.map((name) => [name, adapter.limits[name]]),
  );
  const device = await choice.wait(
    adapter.requestDevice({ requiredFeatures: features as GPUFeatureName[], requiredLimits }),
  );
  const { info, limits } = adapter;
  const hasSubgroups = device.features.has("subgroups" as GPUFeatureName) &&
    info.subgroupMinSize === info.subgroupMaxSize;
  return {
    device,
    capabilities: {
      backend: choice.backend,
      adapterName: adapterName(adapter),
      isSoftware: choice.isSoftware,
      hasF16: device.features.has("shader-f16"),
      subgroupSize: hasSubgroups ? info.subgroupMinSize : 0,
      hasTimestamps: device.features.has("timestamp-query"),
      maxBindingBytes: limits.maxStorageBufferBindingSize,
      maxBufferBytes: limits.maxBufferSize,
    },
    wait: choice.wait,
    lost: device.lost.then((lost) =>
      new GpuLostError(`GPU device lost (${lost.reason ?? "unknown"}): ${lost.message}`)
    ),
    destroy: () => device.destroy(),
  };
}

/** The same context, restricted to what a self-test allowed. */
export function withCapabilities(
  context: GpuContext,
  capabilities: Partial<GpuCapabilities>,
): GpuContext {
  return { ...context, capabilities: { ...context.capabilities, ...capabilities } };
}
