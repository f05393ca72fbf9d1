import { BLOCK_SIZE } from "../../src/core.ts";
import { fixedPool, type PoolBounds } from "../../src/pipeline/kv_pool.ts";
import type { StageLimits } from "../../src/stage/stage_limits.ts";
import { drawRequests } from "./draw_requests.ts";
import { FAULT_KINDS, type FaultKind } from "./fault_kinds.ts";
import { MAX_LAYERS } from "./model.ts";
import type { NetPlan } from "./net.ts";
import type { FaultPlan, PeerPlan, WorldPlan } from "./plan.ts";
import { SimRng } from "./rng.ts";

/** How large the sequences of a run are. Most runs are small, so that there can be many. */
type Size = "small" | "medium" | "large";

/** The run of a seed. `memoryOf` says what a peer must lend to hold so many layers. */
export function drawPlan(
  seed: number,
  { memoryOf }: {
    readonly memoryOf: (
      world: { readonly numLayers: number; readonly limits: StageLimits },
      numLayersHeld: number,
    ) => number;
  },
): WorldPlan {
  const rng = new SimRng(seed, "plan");
  const roll = rng.float();
  const size: Size = roll < 0.85 ? "small" : roll < 0.985 ? "medium" : "large";
  const isLong = rng.chance(0.1);
  const numLayers = isLong ? MAX_LAYERS : rng.int(1, MAX_LAYERS);
  const limits = drawLimits(rng.fork("limits"), size);
  const pool = drawPool(rng.fork("pool"), limits);
  const wanted = { ...limits, numBlocks: pool.wantedBlocks };
  const numPeers = isLong ? rng.int(5, 9) : rng.chance(0.1) ? rng.int(2, 12) : rng.int(2, 6);
  const numStages = isLong
    ? rng.int(4, Math.min(6, numPeers))
    : rng.int(1, Math.min(numLayers, numPeers, rng.chance(0.4) ? 2 : 6));
  const evenStages = isLong || rng.chance(0.5) ? numStages : null;
  const calmMs = rng.chance(0.1) ? rng.between(10_000, 30_000) : rng.between(2_000, 10_000);
  const memoryFor = (numHeld: number, numBlocks = wanted.numBlocks) =>
    memoryOf({ numLayers, limits: { ...wanted, numBlocks } }, numHeld);
  return {
    seed,
    breaksTies: rng.chance(0.5),
    numLayers,
    limits,
    pool,
    evenStages,
    minPeers: rng.int(1, numStages),
    net: drawNet(rng.fork("net")),
    peers: drawPeers(rng.fork("peers"), {
      ...{ numPeers, evenStages, numStages, numLayers, pool, memoryFor },
    }),
    relief: {
      joinMs: calmMs,
      memoryBytes: memoryFor(numLayers),
      device: { readGBps: 1, stepMs: 5, tokenMs: 0, loadMs: 10 },
    },
    requests: drawRequests(rng.fork("requests"), {
      ...{ limits: wanted, numLayers, calmMs },
      isLarge: size === "large",
    }),
    faults: rng.chance(0.08) ? [] : drawFaults(rng.fork("faults"), calmMs),
    calmMs,
    closesEarly: rng.chance(0.06),
  };
}

function drawLimits(rng: SimRng, size: Size): WorldPlan["limits"] {
  const maxModelLength = size === "small"
    ? rng.int(20, 128)
    : size === "medium"
    ? rng.int(128, 512)
    : 4096;
  const maxSequences = size === "large" ? rng.int(1, 4) : rng.chance(0.1) ? 16 : rng.int(1, 8);
  const maxBatchTokens = size === "large"
    ? rng.pick([256, 512])
    : Math.max(maxSequences, rng.pick([1, 4, 16, 24, 32, 64, 100]));
  return {
    maxModelLength,
    maxBatchTokens,
    maxSequences,
    numSavedStates: rng.chance(0.25) ? rng.int(1, 12) : 0,
    maxSamples: maxSequences,
  };
}

/** Down to a pool that one request fills, or does not even fit. */
function drawPool(rng: SimRng, { maxModelLength, maxSequences }: WorldPlan["limits"]): PoolBounds {
  const numLongest = Math.ceil(maxModelLength / BLOCK_SIZE);
  const numBlocks = rng.chance(0.5)
    ? rng.int(Math.max(2, numLongest - 1), numLongest + 4)
    : rng.int(numLongest, numLongest * (1 + maxSequences));
  if (rng.chance(0.5)) return fixedPool(numBlocks);
  const mostBlocks = numBlocks + rng.int(0, 8);
  return {
    leastBlocks: rng.small(2, numBlocks),
    wantedBlocks: numBlocks,
    mostBlocks,
    mostSoftwareBlocks: mostBlocks,
    advice: null,
  };
}

function drawNet(rng: SimRng): NetPlan {
  const isNear = rng.chance(0.6);
  return {
    delayMs: isNear ? [0.1, 3] : [1, rng.pick([20, 60, 150])],
    jitterMs: rng.pick([0, 1, 10, 50]),
    highWaterBytes: rng.chance(0.3) ? rng.int(200, 4_000) : 1 << 20,
  };
}

function drawPeers(
  rng: SimRng,
  { numPeers, evenStages, numStages, numLayers, pool, memoryFor }: {
    readonly numPeers: number;
    readonly evenStages: number | null;
    readonly numStages: number;
    readonly numLayers: number;
    readonly pool: PoolBounds;
    readonly memoryFor: (numLayersHeld: number, numBlocks?: number) => number;
  },
): PeerPlan[] {
  const share = Math.ceil(numLayers / numStages);
  return Array.from({ length: numPeers }, (_, i) => ({
    joinMs: i < 2 || rng.chance(0.7) ? rng.between(0, 300) : rng.between(0, 3_000),
    // An even split asks nobody what fits.
    memoryBytes: evenStages !== null ? memoryFor(numLayers) : memoryFor(
      Math.min(numLayers, share + rng.int(i < numStages ? 0 : -1, 1)),
      rng.int(pool.leastBlocks, pool.mostBlocks),
    ),
    device: {
      readGBps: rng.pick([0, 1, 10, 100]),
      stepMs: rng.between(0.5, 12),
      tokenMs: rng.between(0, 0.2),
      loadMs: rng.chance(0.1) ? rng.between(500, 4_000) : rng.between(1, 200),
    },
  }));
}

/** A random half of the kinds, so that each run is hard in its own way. */
function drawFaults(rng: SimRng, calmMs: number): FaultPlan[] {
  const kinds: FaultKind[] = rng.half(FAULT_KINDS);
  if (kinds.length === 0) return [];
  return Array.from({ length: rng.small(1, 30) }, () => ({
    kind: rng.pick(kinds),
    atMs: rng.between(600, calmMs),
    durationMs: rng.chance(0.3) ? rng.between(2_000, 20_000) : rng.between(50, 2_000),
    target: rng.uint32(),
    strength: rng.float(),
  })).sort((a, b) => a.atMs - b.atMs);
}
