/**
 * What the page and its worker say to each other.
 *
 * @module
 */
import type { Batch, Shard } from "../../src/core.ts";
import type { StageOutput } from "../../src/stage/stage.ts";
import type { DeviceReport, LoadRequest, LoadState } from "../../src/stage/stage_host.ts";
import type { HeldFile } from "../../src/weights/chunk_cache.ts";
import type { WireError } from "./worker_error.ts";

/** Page to worker. Ids count up on the side that asks; a load's id names its stage from then on. */
export type ToWorker =
  | { readonly type: "open" }
  | { readonly type: "load"; readonly loadId: number; readonly request: LoadRequest }
  | { readonly type: "abort-load"; readonly loadId: number; readonly error: WireError }
  | { readonly type: "read-done"; readonly readId: number; readonly bytes: Uint8Array }
  | { readonly type: "read-failed"; readonly readId: number; readonly error: WireError }
  | {
    readonly type: "forward";
    readonly loadId: number;
    readonly forwardId: number;
    readonly batch: Batch;
    readonly hidden: Float32Array | null;
  }
  | { readonly type: "list-held"; readonly listId: number }
  | { readonly type: "close-stage"; readonly loadId: number }
  | { readonly type: "close" };

/** Worker to page. */
export type FromWorker =
  | {
    readonly type: "opened";
    readonly device: DeviceReport;
    /** What the self-test turned off, one line each. */
    readonly warnings: readonly string[];
  }
  | { readonly type: "open-failed"; readonly error: WireError }
  | { readonly type: "progress"; readonly loadId: number; readonly state: LoadState }
  | {
    readonly type: "read";
    readonly loadId: number;
    readonly readId: number;
    readonly fileKey: string;
    readonly range: { readonly start: number; readonly end: number };
  }
  | {
    readonly type: "loaded";
    readonly loadId: number;
    readonly shard: Shard;
    readonly memoryBytes: number;
    readonly state: LoadState;
  }
  | { readonly type: "load-failed"; readonly loadId: number; readonly error: WireError }
  | { readonly type: "forwarded"; readonly forwardId: number; readonly output: StageOutput }
  | { readonly type: "forward-failed"; readonly forwardId: number; readonly error: WireError }
  | { readonly type: "held"; readonly listId: number; readonly files: readonly HeldFile[] }
  | { readonly type: "list-failed"; readonly listId: number; readonly error: WireError }
  | { readonly type: "lost"; readonly error: WireError };

/** One end of the line between page and worker: a Worker, a worker's own scope or a MessagePort. */
export interface MessageEnd {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: string, listener: (event: Event) => void): void;
  removeEventListener(type: string, listener: (event: Event) => void): void;
}
