import type { Span, StageCosts } from "./stage_costs.ts";

/** Up to this many peers, every order of every subset is considered. */
export const MAX_EXACT_PEERS = 10;
/** Pairs of a first and a last peer that are tried where there are more. */
const MAX_ENDS_TRIED = 8;

/**
 * All layers as the fewest stages that fit and take at most `limitMs` each, or null. Exact up to
 * `MAX_EXACT_PEERS` peers and wherever all layers weigh the same; else close to it.
 */
export function fillLayers(costs: StageCosts, limitMs: number): readonly Span[] | null {
  return costs.numPeers <= MAX_EXACT_PEERS
    ? fillByAnySubset(costs, limitMs)
    : fillByLargestFirst(costs, limitMs);
}

/**
 * Dynamic programming over subsets of peers: a prefix of layers that a subset covers is best when it
 * is longest, because what is left then needs the least.
 */
function fillByAnySubset(costs: StageCosts, limitMs: number): readonly Span[] | null {
  const { numPeers, numLayers } = costs;
  const reached = new Int32Array(1 << numPeers);
  const lastPeer = new Int8Array(1 << numPeers).fill(-1);
  let best: { peers: number; last: number; numStages: number } | null = null;
  for (let subset = 0; subset < reached.length; subset++) {
    const startLayer = reached[subset] ?? 0;
    if (subset !== 0 && startLayer === 0) continue;
    const numStages = countBits(subset) + 1;
    for (let peer = 0; peer < numPeers; peer++) {
      const larger = subset | (1 << peer);
      if (larger === subset) continue;
      if (
        numStages < (best?.numStages ?? Infinity) &&
        costs.fits({ peer, startLayer, endLayer: numLayers }, limitMs)
      ) {
        best = { peers: subset, last: peer, numStages };
      }
      const endLayer = costs.reach(peer, { startLayer, limitMs });
      if (endLayer === startLayer || endLayer <= (reached[larger] ?? 0)) continue;
      reached[larger] = endLayer;
      lastPeer[larger] = peer;
    }
  }
  if (best === null) return null;
  const spans: Span[] = [];
  let endLayer = numLayers;
  for (let subset = best.peers, peer = best.last; peer >= 0;) {
    const startLayer = reached[subset] ?? 0;
    spans.unshift({ peer, startLayer, endLayer });
    endLayer = startLayer;
    peer = lastPeer[subset] ?? -1;
    subset &= ~(1 << peer);
  }
  return spans;
}

/** Peers by how many layers they hold, the first and the last chosen for what the ends cost. */
function fillByLargestFirst(costs: StageCosts, limitMs: number): readonly Span[] | null {
  const { numPeers, numLayers } = costs;
  for (let peer = 0; peer < numPeers; peer++) {
    const whole = { peer, startLayer: 0, endLayer: numLayers };
    if (costs.fits(whole, limitMs)) return [whole];
  }
  const counts = Array.from({ length: numPeers }, (_, peer) => countLayers(costs, peer, limitMs));
  const order = counts.map((_, peer) => peer).sort((a, b) =>
    (counts[b]?.middle ?? 0) - (counts[a]?.middle ?? 0) || a - b
  );
  for (const { first, last } of bestEnds(counts, order, numLayers)) {
    const middle = order.filter((peer) => peer !== first && peer !== last);
    const spans = fillInOrder(costs, [first, ...middle], { last, limitMs });
    if (spans !== null) return spans;
  }
  return null;
}

/** How many layers a peer holds as the first, a middle or the last stage, if all weigh the same. */
interface LayerCounts {
  readonly first: number;
  readonly middle: number;
  readonly last: number;
}

function countLayers(costs: StageCosts, peer: number, limitMs: number): LayerCounts {
  const { numLayers } = costs;
  const middle = costs.reach(peer, { startLayer: 1, limitMs }) - 1;
  let last = 0;
  while (
    last < numLayers - 1 &&
    costs.fits({ peer, startLayer: numLayers - last - 1, endLayer: numLayers }, limitMs)
  ) {
    last++;
  }
  return { first: costs.reach(peer, { startLayer: 0, limitMs }), middle, last };
}

interface Ends {
  readonly first: number;
  readonly last: number;
  /** Infinite where the layers do not seem to fit. */
  readonly numStages: number;
  readonly numHeld: number;
}

/** The most promising pairs: fewest stages first, then most room. */
function bestEnds(
  counts: readonly LayerCounts[],
  order: readonly number[],
  numLayers: number,
): readonly Ends[] {
  const best: Ends[] = [];
  const isBetter = (a: Ends, b: Ends) =>
    a.numStages < b.numStages || a.numStages === b.numStages && a.numHeld > b.numHeld;
  for (const [first, { first: numFirst }] of counts.entries()) {
    for (const [last, { last: numLast }] of counts.entries()) {
      if (first === last || numFirst === 0 || numLast === 0) continue;
      let numHeld = numFirst + numLast;
      let numStages = 2;
      for (const peer of order) {
        const { middle } = counts[peer] ?? { middle: 0 };
        if (numHeld >= numLayers || middle === 0) break;
        if (peer === first || peer === last) continue;
        numHeld += middle;
        numStages++;
      }
      if (numHeld < numLayers) numStages = Infinity;
      const ends = { first, last, numStages, numHeld };
      const worst = best.at(-1);
      if (best.length === MAX_ENDS_TRIED && worst && !isBetter(ends, worst)) continue;
      const at = best.findIndex((other) => isBetter(ends, other));
      best.splice(at < 0 ? best.length : at, 0, ends);
      if (best.length > MAX_ENDS_TRIED) best.pop();
    }
  }
  return best;
}

/** Each peer takes all it can, until `last` can take the rest. */
function fillInOrder(
  costs: StageCosts,
  peers: readonly number[],
  { last, limitMs }: { last: number; limitMs: number },
): readonly Span[] | null {
  const spans: Span[] = [];
  let startLayer = 0;
  for (const peer of peers) {
    const endLayer = costs.reach(peer, { startLayer, limitMs });
    if (endLayer === startLayer) continue;
    spans.push({ peer, startLayer, endLayer });
    startLayer = endLayer;
    const rest = { peer: last, startLayer, endLayer: costs.numLayers };
    if (costs.fits(rest, limitMs)) return [...spans, rest];
  }
  return null;
}

function countBits(bits: number): number {
  let count = 0;
  for (let left = bits; left !== 0; left &= left - 1) count++;
  return count;
}
