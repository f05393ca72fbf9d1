/**
 * Which peer runs which layers: as much on each as its memory and speed allow, so that the slowest
 * stage is as fast as can be. Pure.
 *
 * @module
 */
import type { Shard } from "../core.ts";
import { fillLayers } from "./fill_layers.ts";
import type { ModelCosts } from "../stage/model_costs.ts";
import { type PlacedPeer, type Span, StageCosts } from "./stage_costs.ts";

/** A placement that is at most this much slower than the best is kept: loading costs more. */
const KEPT_SLOWDOWN = 1.1;
/** Times closer than this count as the same. */
const TIME_TOLERANCE = 1e-9;

/** One stage and who runs it. */
export interface PlacedStage {
  readonly peerId: string;
  readonly shard: Shard;
}

/** The stages in the order of their layers, or how much memory one more peer would have to lend. */
export type Placement =
  | { readonly type: "placed"; readonly stages: readonly PlacedStage[]; readonly slowestMs: number }
  | { readonly type: "short"; readonly missingBytes: number };

/** What `placeLayers()` goes by besides model and peers. */
export interface PlacementOptions {
  /** Blocks of the KV pool that every stage must have room for. */
  readonly numBlocks: number;
  /**
   * What the peers hold now. Kept while it is valid and near the best; a peer that has gone may be
   * replaced by one that had no layers.
   */
  readonly previous?: readonly PlacedStage[];
}

/**
 * Gives every layer to exactly one peer. The slowest stage takes the least time that memory allows,
 * on the fewest peers that reach this time; those left out get no layers. The order of `peers` does
 * not matter. Throws a RangeError for a model without layers and for peers that share an id.
 */
export function placeLayers(
  model: ModelCosts,
  peers: readonly PlacedPeer[],
  { numBlocks, previous }: PlacementOptions,
): Placement {
  requireLayers(model);
  const usable = sortedPeers(peers);
  const costs = new StageCosts(model, { peers: usable, numBlocks });
  const spans = fastestSpans(costs);
  if (spans === null) {
    return { type: "short", missingBytes: missingBytes(model, { peers: usable, numBlocks }) };
  }
  const limitMs = slowestMs(costs, spans) * KEPT_SLOWDOWN;
  const kept = previous && keptSpans(previous, { peers: usable, costs, limitMs });
  return placed(costs, usable, kept ?? spans);
}

function placed(
  costs: StageCosts,
  peers: readonly PlacedPeer[],
  spans: readonly Span[],
): Placement {
  const stages = spans.map(({ peer, startLayer, endLayer }) => ({
    peerId: peers[peer]?.id ?? "",
    shard: {
      startLayer,
      endLayer,
      hasEmbedding: startLayer === 0,
      hasHead: endLayer === costs.numLayers,
    },
  }));
  return { type: "placed", stages, slowestMs: slowestMs(costs, spans) };
}

function requireLayers({ numLayers, layerBytes }: ModelCosts): void {
  if (!Number.isInteger(numLayers) || numLayers < 1) {
    throw new RangeError(`Cannot place ${numLayers} layers: a model has at least 1`);
  }
  if (layerBytes.length !== numLayers) {
    throw new RangeError(
      `The model has ${numLayers} layers and sizes of ${layerBytes.length}: give one of each layer`,
    );
  }
}

/** Peers that measured a speed, fastest first, so that the same peers give the same placement. */
function sortedPeers(peers: readonly PlacedPeer[]): readonly PlacedPeer[] {
  const ids = new Set<string>();
  for (const { id } of peers) {
    if (ids.has(id)) throw new RangeError(`Two peers have the id "${id}": ids must be unique`);
    ids.add(id);
  }
  return peers.filter(({ readGBps }) => readGBps > 0).sort((a, b) =>
    b.readGBps - a.readGBps || (a.id < b.id ? -1 : 1)
  );
}

/** Narrows the time of the slowest stage down until no shorter one can be filled. */
function fastestSpans(costs: StageCosts): readonly Span[] | null {
  let best = fillLayers(costs, Infinity);
  if (best === null) return null;
  let possibleMs = slowestMs(costs, best);
  let impossibleMs = costs.leastMs() * (1 - TIME_TOLERANCE);
  while (possibleMs - impossibleMs > TIME_TOLERANCE * possibleMs) {
    const limitMs = (possibleMs + impossibleMs) / 2;
    const faster = fillLayers(costs, limitMs);
    if (faster === null) {
      impossibleMs = limitMs;
    } else {
      best = faster;
      possibleMs = slowestMs(costs, best);
    }
  }
  return best;
}

function slowestMs(costs: StageCosts, spans: readonly Span[]): number {
  return Math.max(...spans.map((span) => costs.timeMs(span)));
}

/**
 * The smallest memory with which one more peer of any speed would make the model fit, if it keeps K
 * and V as f32.
 */
function missingBytes(
  model: ModelCosts,
  { peers, numBlocks }: { readonly peers: readonly PlacedPeer[]; readonly numBlocks: number },
): number {
  const slow = { id: "", readGBps: 1, usesF16Kv: false };
  const costsWith = (memoryBytes: number) =>
    new StageCosts(model, { peers: [...peers, { ...slow, memoryBytes }], numBlocks });
  const isEnough = (memoryBytes: number) => fillLayers(costsWith(memoryBytes), Infinity) !== null;
  let tooSmall = 0;
  let enough = costsWith(0).memoryBytes({ ...slow, startLayer: 0, endLayer: model.numLayers });
  while (enough - tooSmall > 1) {
    const bytes = Math.floor((tooSmall + enough) / 2);
    if (isEnough(bytes)) enough = bytes;
    else tooSmall = bytes;
  }
  return enough;
}

/** `previous` where all of it still holds, with peers that have gone replaced; else null. */
function keptSpans(
  previous: readonly PlacedStage[],
  { peers, costs, limitMs }: {
    peers: readonly PlacedPeer[];
    costs: StageCosts;
    limitMs: number;
  },
): readonly Span[] | null {
  const indexes = new Map(peers.map(({ id }, index) => [id, index]));
  const kept = new Set(previous.map(({ peerId }) => peerId));
  if (kept.size < previous.length) return null;
  const spare = peers.flatMap(({ id }, index) => kept.has(id) ? [] : [index]);
  const spans: Span[] = [];
  let nextLayer = 0;
  for (const { peerId, shard } of previous) {
    const { startLayer, endLayer } = shard;
    if (startLayer !== nextLayer || endLayer <= startLayer) return null;
    nextLayer = endLayer;
    const fits = (peer: number) => costs.fits({ peer, startLayer, endLayer }, limitMs);
    const peer = indexes.get(peerId) ?? spare.find(fits);
    if (peer === undefined || !fits(peer)) return null;
    if (spare.includes(peer)) spare.splice(spare.indexOf(peer), 1);
    spans.push({ peer, startLayer, endLayer });
  }
  return nextLayer === costs.numLayers && spans.length > 0 ? spans : null;
}
