/**
 * A device that can hold a shard, seen by the peer that lends it: in this process or in a worker.
 *
 * @module
 */
import type { Shard } from "../core.ts";
import type { ShardManifest } from "../weights/shard_manifest.ts";
import type { Stage } from "./stage.ts";
import type { StageLimits } from "./stage_limits.ts";

/** What a device is and how fast. */
export interface DeviceReport {
  readonly adapterName: string;
  readonly backend: "dawn" | "wgpu" | "browser";
  readonly isSoftware: boolean;
  readonly hasF16: boolean;
  /** 0 when subgroups are not used. */
  readonly subgroupSize: number;
  readonly maxBindingBytes: number;
  /** Keeps K and V as f16 where a request leaves it to the device. */
  readonly usesF16Kv: boolean;
  /** Measured streaming read in GB/s. */
  readonly readGBps: number;
  /** Measured matrix multiplication in GFLOP/s. */
  readonly matmulGflops: number;
}

/** A shard to hold. */
export interface LoadRequest {
  readonly manifest: ShardManifest;
  readonly shard: Shard;
  readonly limits: StageLimits;
  /** Null leaves it to the device. */
  readonly isDeterministic: boolean | null;
  readonly useF16Kv: boolean | null;
}

/** How far a load is. */
export interface LoadState {
  /** Bytes of the shard that are on the device. */
  readonly loadedBytes: number;
  /** Bytes of the shard in all. */
  readonly totalBytes: number;
  /** Bytes that came over the network in this load. */
  readonly downloadedBytes: number;
}

/** Bytes [start, end) of a manifest's file, from the coordinator. */
export type ReadFromCoordinator = (
  fileKey: string,
  range: { readonly start: number; readonly end: number },
) => Promise<Uint8Array>;

/** A loaded shard. */
export interface HostedStage extends Stage {
  /** Bytes of GPU memory in all. */
  readonly memoryBytes: number;
  readonly state: LoadState;
}

/** One device. Holds one shard at a time: `load` after `close` of the last one. */
export interface StageHost {
  readonly device: DeviceReport;
  /**
   * Loads a shard and passes its known-answer test. Throws a GpuMemoryError, FormatError,
   * ModelConfigError or what reading throws, or the signal's reason; nothing stays allocated then.
   */
  load(
    request: LoadRequest,
    means: {
      readonly readFromCoordinator: ReadFromCoordinator;
      readonly onProgress?: (state: LoadState) => void;
      readonly signal?: AbortSignal;
    },
  ): Promise<HostedStage>;
  /** Resolves with the reason when the device is gone. */
  readonly lost: Promise<Error>;
  close(): void;
}
