import type { Shard } from "../core.ts";
import { StageCosts } from "../pipeline/stage_costs.ts";
import type { ModelCosts } from "../stage/model_costs.ts";

/** Of what a device refused it gets less by at least this, or the next plan would be much the same. */
const MOST_LEFT = 0.95;
/** With the least pool and no word of what fitted; one layer is tried in any case. */
const GUESS_LEFT = 0.8;

/**
 * What to believe of a device's memory after it could not hold a shard with a pool of `numBlocks`.
 * Buffers and pool are allocated before the weights: once some of these were there, it is known what
 * fitted. Else the pool was too large: half of it is tried, and with the least pool fewer layers.
 * Always less than what was asked.
 */
export function roomAfterRefusal({ costs, shard, usesF16Kv, numBlocks, leastBlocks, loadedBytes }: {
  readonly costs: ModelCosts;
  readonly shard: Shard;
  readonly usesF16Kv: boolean;
  readonly numBlocks: number;
  readonly leastBlocks: number;
  /** Of the shard's weights, on the device when it refused more. */
  readonly loadedBytes: number;
}): number {
  const stage = new StageCosts(costs, { peers: [], numBlocks });
  const askedBytes = stage.memoryBytes({ ...shard, usesF16Kv });
  const weightBytes = stage.weightBytes(shard);
  if (loadedBytes > 0) {
    const fittedBytes = askedBytes - Math.max(0, weightBytes - loadedBytes);
    return Math.floor(Math.min(fittedBytes, askedBytes * MOST_LEFT));
  }
  const blockBytes = stage.blockBytes({ ...shard, usesF16Kv });
  if (numBlocks > leastBlocks) {
    const halfBlocks = Math.max(leastBlocks, numBlocks >> 1);
    return stage.fixedBytes(shard) + halfBlocks * blockBytes;
  }
  const last = { ...shard, startLayer: shard.endLayer - 1 };
  const lastBytes = stage.memoryBytes({ ...last, usesF16Kv });
  return Math.floor(Math.max(askedBytes * GUESS_LEFT, lastBytes < askedBytes ? lastBytes : 0));
}
