/**
 * Everything that is decided about a run before it starts, as plain data: so that a run that fails
 * can be run again with less in it.
 *
 * @module
 */
import type { Priority, SamplingParams } from "../../src/core.ts";
import type { PoolBounds } from "../../src/pipeline/kv_pool.ts";
import type { StageLimits } from "../../src/stage/stage_limits.ts";
import type { FaultKind } from "./fault_kinds.ts";
import type { NetPlan } from "./net.ts";
import type { DevicePlan } from "./oracle_host.ts";

/** One run. */
export interface WorldPlan {
  /** All that is drawn while the run goes on comes from it. */
  readonly seed: number;
  readonly breaksTies: boolean;
  readonly numLayers: number;
  readonly limits: Omit<StageLimits, "numBlocks">;
  readonly pool: PoolBounds;
  /** Layers are split evenly over this many peers; null places them as memory and speed allow. */
  readonly evenStages: number | null;
  readonly minPeers: number;
  readonly net: NetPlan;
  readonly peers: readonly PeerPlan[];
  /** Comes when the calm begins, in case that the others have been found too small. */
  readonly relief: PeerPlan;
  readonly requests: readonly RequestPlan[];
  readonly faults: readonly FaultPlan[];
  /** From here on nothing goes wrong any more. */
  readonly calmMs: number;
  /** The coordinator stops there and then, with requests under way. */
  readonly closesEarly: boolean;
}

/** One lent computer. */
export interface PeerPlan {
  readonly joinMs: number;
  readonly memoryBytes: number;
  readonly device: DevicePlan;
}

/** How a client ends its request early. */
export interface CancelPlan {
  /** After so many tokens; negative ones count from the end of what would come. */
  readonly afterTokens: number | null;
  /** After so long. */
  readonly afterMs: number | null;
  readonly how: "signal" | "return";
}

/** One request. */
export interface RequestPlan {
  readonly atMs: number;
  readonly promptTokenIds: readonly number[];
  readonly sampling: SamplingParams;
  readonly priority: Priority;
  readonly clientId: string;
  readonly cacheSalt: string;
  readonly cancel: CancelPlan | null;
  readonly timeoutMs: number | null;
  /** Between two reads; 0 for a client that waits for each token. */
  readonly readEveryMs: number;
  /** Part of a burst: many come at once. */
  readonly isBurst: boolean;
}

/** One thing that goes wrong. What the numbers mean is the kind's affair. */
export interface FaultPlan {
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly durationMs: number;
  /** Picks whom it hits among those that it can hit. */
  readonly target: number;
  /** From 0 to 1: how bad. */
  readonly strength: number;
}
