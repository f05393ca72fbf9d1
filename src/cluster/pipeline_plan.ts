import { BLOCK_SIZE } from "../core.ts";
import {
  blocksInBinding,
  largestPool,
  type PoolBounds,
  type PoolDevice,
} from "../pipeline/kv_pool.ts";
import type { PlaceLayers } from "../pipeline/place_evenly.ts";
import type { PlacedStage } from "../pipeline/placement.ts";
import type { PlacedPeer } from "../pipeline/stage_costs.ts";
import { describeBinding } from "../stage/largest_buffer.ts";
import type { ModelCosts } from "../stage/model_costs.ts";

/** A peer that may hold layers. */
export interface Candidate extends PlacedPeer, PoolDevice {
  /** For people. */
  readonly name: string;
  /** What of its memory a pool may fill beside weights and buffers. */
  readonly poolBytes: number;
}

/** Who holds which layers, in their order, and the blocks of everyone's KV pool. */
export interface PipelinePlan {
  readonly stages: readonly PlacedStage[];
  readonly numBlocks: number;
}

/** Why there is no plan. */
export interface Shortage {
  readonly missingBytes: number;
  /** One whose largest binding is too small for the pool, and what it would hold. */
  readonly narrow: { readonly name: string; readonly numBlocks: number } | null;
  /** One whose largest binding is too small for any stage, and why. */
  readonly unable: string | null;
}

/** A pool that has at least this share of the blocks it could have is kept: loading costs more. */
const KEPT_POOL = 0.5;

/**
 * Who should hold which layers with how large a pool. Layers go to where the wanted pool fits beside
 * them, or half of it, and so on down to the least; then the pool grows into the room that is left on
 * the stage with the least of it. `previous` is kept while it is nearly as good.
 */
export function planPipeline(
  candidates: readonly Candidate[],
  { place, costs, pool, previous }: {
    readonly place: PlaceLayers;
    readonly costs: ModelCosts;
    readonly pool: PoolBounds;
    readonly previous: PipelinePlan;
  },
): PipelinePlan | Shortage {
  const { largestBuffer } = costs;
  const binds = ({ maxBindingBytes }: Candidate) => maxBindingBytes >= largestBuffer.sizeBytes;
  const unable = candidates.find((candidate) => !binds(candidate));
  let numBlocks = pool.wantedBlocks;
  while (true) {
    const holds = (candidate: Candidate) =>
      binds(candidate) && blocksInBinding(costs, candidate) >= numBlocks;
    const placement = place(costs, candidates.filter(holds), {
      numBlocks,
      previous: previous.stages,
    });
    if (placement.type === "placed") {
      const { stages } = placement;
      const possible = Math.max(numBlocks, poolOf(stages, { candidates, costs, pool }));
      return { stages, numBlocks: keptBlocks(stages, { possible, previous }) ?? possible };
    }
    if (numBlocks <= pool.leastBlocks) {
      const { missingBytes } = placement;
      return {
        missingBytes,
        narrow: narrowest(candidates, { costs, numBlocks }),
        unable: unable ? describeBinding(largestBuffer, unable) : null,
      };
    }
    numBlocks = Math.max(pool.leastBlocks, numBlocks >> 1);
  }
}

/** True when the same peers hold the same layers. */
export function isSamePlacement(a: readonly PlacedStage[], b: readonly PlacedStage[]): boolean {
  return a.length === b.length && a.every((stage, i) => isSameStage(stage, b[i]));
}

/** What is missing and how to mend it, for people. */
export function describeShortage(
  { missingBytes, narrow, unable }: Shortage,
  { advice }: Pick<PoolBounds, "advice">,
): string {
  if (unable !== null) return unable;
  if (narrow !== null) {
    const limit = `A buffer of "${narrow.name}" binds ${countTokens(narrow.numBlocks)} of KV cache`;
    return `${limit} at most: ${advice ?? "peers with larger buffers are needed"}`;
  }
  const gb = (missingBytes / 1e9).toPrecision(3);
  const needed = `The peers lend too little memory: ${gb} GB more are needed`;
  return advice === null ? needed : `${needed}, or ${advice}`;
}

/** KV blocks for people. */
export function countTokens(numBlocks: number): string {
  return `${(numBlocks * BLOCK_SIZE).toLocaleString("en-US")} tokens`;
}

function isSameStage({ peerId, shard }: PlacedStage, other: PlacedStage | undefined): boolean {
  return peerId === other?.peerId && shard.startLayer === other.shard.startLayer &&
    shard.endLayer === other.shard.endLayer;
}

function poolOf(
  stages: readonly PlacedStage[],
  { candidates, costs, pool }: {
    readonly candidates: readonly Candidate[];
    readonly costs: ModelCosts;
    readonly pool: PoolBounds;
  },
): number {
  const byId = new Map(candidates.map((candidate) => [candidate.id, candidate]));
  const poolStages = stages.flatMap(({ peerId, shard }) => {
    const candidate = byId.get(peerId);
    return candidate ? [{ ...candidate, shard, memoryBytes: candidate.poolBytes }] : [];
  });
  return largestPool(costs, poolStages, pool);
}

/** The pool of `previous` where a stage that need not change would be loaded again without it. */
function keptBlocks(
  stages: readonly PlacedStage[],
  { possible, previous }: { readonly possible: number; readonly previous: PipelinePlan },
): number | null {
  const isHeld = stages.some((stage) => previous.stages.some((other) => isSameStage(stage, other)));
  const isNear = previous.numBlocks <= possible && previous.numBlocks >= possible * KEPT_POOL;
  return isHeld && isNear ? previous.numBlocks : null;
}

function narrowest(
  candidates: readonly Candidate[],
  { costs, numBlocks }: { readonly costs: ModelCosts; readonly numBlocks: number },
): Shortage["narrow"] {
  const [narrow] = candidates
    .map((candidate) => ({ name: candidate.name, numBlocks: blocksInBinding(costs, candidate) }))
    .filter((candidate) => candidate.numBlocks < numBlocks)
    .sort((a, b) => a.numBlocks - b.numBlocks);
  return narrow ?? null;
}
