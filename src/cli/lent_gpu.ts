import { join } from "node:path";
import type { GpuContext } from "../gpu/context.ts";
import { type DeviceSpeed, probeDevice } from "../kernels/device_probe.ts";
import { FileStore } from "../platform/file_store.ts";
import { headlessMemory } from "../platform/headless_memory.ts";
import { defaultPledgeBytes } from "../platform/pledge.ts";
import { systemClock } from "../platform/system.ts";
import { LocalStageHost } from "../stage/local_stage_host.ts";
import { heldFiles } from "../weights/chunk_cache.ts";
import { type GpuFlags, type OpenedGpu, openGpu } from "./gpu.ts";
import { publicFetch } from "./public_fetch.ts";

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
  const http = { fetch: publicFetch, clock: systemClock };
  return {
    context,
    speed,
    memoryBytes: flags.memory ?? defaultPledgeBytes(adapter, known),
    host: (cache) => new LocalStageHost({ context, tuning, speed, cache, http }),
  };
}

/** Where shards of this machine are kept, and what is there. */
export function shardCache(folder: string) {
  const store = new FileStore(join(folder, "shards"));
  return { store, heldFiles: () => heldFiles(store) };
}
