/**
 * What peers and coordinator say to each other on a link's control channel. JSON; sizes in bytes.
 *
 * @module
 */
import type { Shard } from "../core.ts";
import type { CandidateType } from "./peer_link.ts";

/** Both ends of a link must say the same; raised with every change that older peers misread. */
export const PROTOCOL = 2;
/** Longest name of a peer. */
export const MAX_NAME_LENGTH = 100;
/** Most held files and links in a message. */
export const MAX_HELD_FILES = 1024;
export const MAX_LINKS = 256;
/** Longest reason in a message. */
export const MAX_REASON_LENGTH = 2_000;

/** A device as its peer measured it. */
export interface OfferedDevice {
  readonly adapterName: string;
  readonly backend: "dawn" | "wgpu" | "browser";
  readonly isSoftware: boolean;
  readonly hasF16: boolean;
  readonly subgroupSize: number;
  readonly maxBindingBytes: number;
  /** Keeps K and V as f16 where an order leaves it to the device. */
  readonly usesF16Kv: boolean;
  readonly readGBps: number;
  readonly matmulGflops: number;
}

/** How far a shard is loaded. */
export interface ReportedLoad {
  readonly loadedBytes: number;
  readonly totalBytes: number;
  readonly downloadedBytes: number;
}

/** A peer's end of a link. */
export interface ReportedLink {
  readonly to: string;
  readonly rttMs: number | null;
  readonly candidateType: CandidateType;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly bufferedBytes: number;
}

/** Sizes of a stage's buffers, in the words of stage/stage_limits.ts. */
export interface OrderedLimits {
  readonly numBlocks: number;
  readonly maxModelLength: number;
  readonly maxBatchTokens: number;
  readonly maxSequences: number;
  /** 0 where a coordinator does not say. */
  readonly numSavedStates: number;
  readonly maxSamples: number;
}

/** From a peer to its coordinator. */
export type PeerControl =
  /** First of all: what is offered. */
  | {
    readonly type: "join";
    readonly protocol: number;
    readonly name: string;
    readonly version: string;
    readonly device: OfferedDevice;
    /** Lent memory. */
    readonly memoryBytes: number;
    /** Files of which the peer has something in its cache. */
    readonly heldFiles: readonly { readonly key: string; readonly bytes: number }[];
    readonly isPaused: boolean;
  }
  | { readonly type: "load-progress"; readonly epoch: number; readonly load: ReportedLoad }
  | {
    readonly type: "ready";
    readonly epoch: number;
    readonly load: ReportedLoad;
    readonly memoryBytes: number;
  }
  | {
    readonly type: "load-failed";
    readonly epoch: number;
    readonly reason: string;
    /** The device has no room for the shard: a smaller one may fit. */
    readonly isOutOfMemory: boolean;
    /** Of the shard, on the device by then. */
    readonly loadedBytes: number;
  }
  /** A neighbour is out of reach: the pipeline of this epoch is of no use any more. */
  | { readonly type: "stage-lost"; readonly epoch: number; readonly reason: string }
  | {
    readonly type: "step-failed";
    readonly epoch: number;
    readonly stepId: number;
    readonly reason: string;
  }
  /** No more layers until "resume"; a shard that is held is given up. */
  | { readonly type: "pause" }
  | { readonly type: "resume" }
  | {
    readonly type: "stats";
    readonly numTokens: number;
    readonly numSteps: number;
    readonly busyMs: number;
    /** Frames of another epoch, or out of order. */
    readonly numRefused: number;
    readonly links: readonly ReportedLink[];
  }
  /** Asks for bytes [start, end) of a file; a "weights" frame with `sequence` = id answers. */
  | {
    readonly type: "read";
    readonly id: number;
    readonly fileKey: string;
    readonly start: number;
    readonly end: number;
  };

/** From a coordinator to a peer. */
export type CoordinatorControl =
  | {
    readonly type: "welcome";
    readonly protocol: number;
    readonly name: string;
    readonly version: string;
    readonly model: string;
  }
  /** There is no place for the peer, and asking again is of no use. */
  | { readonly type: "refuse"; readonly reason: string }
  /** Hold this shard, and be ready for batches of `epoch`. */
  | {
    readonly type: "load";
    readonly epoch: number;
    /** Where to read the ShardManifest, as JSON: a "file" of the coordinator. */
    readonly manifestKey: string;
    readonly manifestBytes: number;
    readonly shard: Shard;
    readonly limits: OrderedLimits;
    /** Null leaves it to the device. */
    readonly isDeterministic: boolean | null;
    readonly useF16Kv: boolean | null;
    readonly hiddenType: "f32" | "f16";
    /** Null where the coordinator stands on that side. */
    readonly previous: string | null;
    readonly next: string | null;
  }
  /** Give up the shard. */
  | { readonly type: "unload"; readonly reason: string }
  | { readonly type: "read-failed"; readonly id: number; readonly reason: string };

/** What of an error's message fits into one. */
export function clipReason(reason: string): string {
  return reason.slice(0, MAX_REASON_LENGTH);
}
