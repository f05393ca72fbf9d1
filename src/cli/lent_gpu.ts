import { join } from "node:path";
import { formatBytes } from "../gpu/buffer.ts";
import type { GpuContext } from "../gpu/context.ts";
import { grantedBytes } from "../gpu/memory_probe.ts";
import { type DeviceSpeed, probeDevice } from "../kernels/device_probe.ts";
import { FileStore } from "../platform/file_store.ts";
import { headlessMemory } from "../platform/headless_memory.ts";
import { defaultPledgeBytes, type KnownMemory } from "../platform/pledge.ts";
import { systemClock } from "../platform/system.ts";
import { LocalStageHost } from "../stage/local_stage_host.ts";
import { heldFiles } from "../weights/chunk_cache.ts";
import { type GpuFlags, type OpenedGpu, openGpu } from "./gpu.ts";
import { publicFetch } from "./public_fetch.ts";

/** Of what a device turns out to have where that is less than it was to lend. */
const LENT_SHARE = 0.9;

/** The flags of commands that lend this machine's GPU. */
export interface LendFlags extends GpuFlags {
  /** Lent memory in bytes. */
  readonly memory?: number;
  /** WebGPU's validation and bounds checks stay on. */
  readonly checked?: boolean;
}

/** This machine's GPU, measured. */
export interface LentGpu {
  readonly context: GpuContext;
  readonly speed: DeviceSpeed;
  /** Lent memory in bytes. */
  readonly memoryBytes: number;
  /** Null where the coordinator is in the same process: its files are as near as a cache. */
  host(cache: FileStore | null): LocalStageHost;
}

/** Opens, tests and measures the wanted adapter. Throws a NoAdapterError or SelfTestError. */
export async function openLentGpu(flags: LendFlags): Promise<LentGpu> {
  const opened: OpenedGpu = await openGpu(flags, { isTrusted: flags.checked !== true });
  const { context, tuning, adapter } = opened;
  const speed = await probeDevice(context, { tuning, clock: systemClock });
  const known = await headlessMemory(context.capabilities.adapterName);
  const pledgedBytes = flags.memory ?? defaultPledgeBytes(adapter, known);
  const http = { fetch: publicFetch, clock: systemClock };
  return {
    context,
    speed,
    memoryBytes: await lendableBytes(context, { pledgedBytes, known }),
    host: (cache) => new LocalStageHost({ context, tuning, speed, cache, http }),
  };
}

/**
 * `pledgedBytes`, or less where the GPU has not so much. What the driver says is believed, and what a
 * CPU has is known; where neither says enough, the device is tried.
 */
async function lendableBytes(
  context: GpuContext,
  { pledgedBytes, known }: { readonly pledgedBytes: number; readonly known: KnownMemory },
): Promise<number> {
  const { isSoftware } = context.capabilities;
  if (isSoftware || (known.freeGpuBytes ?? 0) >= pledgedBytes) return pledgedBytes;
  const granted = await grantedBytes(context, { wantedBytes: pledgedBytes, clock: systemClock });
  if (granted >= pledgedBytes) return pledgedBytes;
  const lentBytes = Math.floor(granted * LENT_SHARE);
  console.error(
    `Warning: the GPU has ${formatBytes(granted)} free, not ${formatBytes(pledgedBytes)}: ` +
      `it lends ${formatBytes(lentBytes)}`,
  );
  return lentBytes;
}

/** Where shards of this machine are kept, and what is there. */
export function shardCache(folder: string) {
  const store = new FileStore(join(folder, "shards"));
  return { store, heldFiles: () => heldFiles(store) };
}
