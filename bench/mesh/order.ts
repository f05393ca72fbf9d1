import type { Shard } from "../../src/core.ts";
import type { HiddenType } from "../../src/pipeline/hidden_wire.ts";
import type { ServiceStats } from "../../src/pipeline/stage_service.ts";
import type { StageLimits } from "../../src/stage/stage_limits.ts";

/** What a stage does in place of layers: copies hidden states on the GPU, or takes its time. */
export type StageWork =
  | { readonly type: "copy" }
  | { readonly type: "wait"; readonly stepMs: number };

/** What a node is to serve. */
export interface StageOrder {
  readonly type: "bench-stage";
  readonly epoch: number;
  readonly work: StageWork;
  readonly shard: Shard;
  readonly limits: StageLimits;
  readonly hiddenSize: number;
  readonly hiddenType: HiddenType;
  /** Peer ids; null for the one that gives the order. */
  readonly previous: string | null;
  readonly next: string | null;
}

/** What else is asked of a node. */
export type BenchRequest = StageOrder | { readonly type: "bench-stats" };

/** What a node says. */
export type BenchReply =
  | { readonly type: "bench-ready"; readonly epoch: number; readonly adapterName: string | null }
  | { readonly type: "bench-failed"; readonly reason: string }
  | {
    readonly type: "bench-stats";
    readonly stats: ServiceStats;
    /** Of a step in the stage alone, without waiting for its turn. Median. */
    readonly stageMs: number;
  };

/** Reads a request. Both ends are of the same program: only strangers are told apart. */
export function parseRequest(message: unknown): BenchRequest | null {
  const { type } = Object(message);
  return type === "bench-stage" || type === "bench-stats" ? message as BenchRequest : null;
}

/** Reads a reply; likewise. */
export function parseReply(message: unknown): BenchReply | null {
  const { type } = Object(message);
  const isReply = type === "bench-ready" || type === "bench-failed" || type === "bench-stats";
  return isReply ? message as BenchReply : null;
}
