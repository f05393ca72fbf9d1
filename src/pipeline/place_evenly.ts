import { splitLayers } from "../core.ts";
import type { placeLayers } from "./placement.ts";

/** A way to choose who runs which layers. */
export type PlaceLayers = typeof placeLayers;

/**
 * Layers split evenly over `numStages` peers, whatever their speed and memory, or over one for each
 * layer if those are fewer: for runs that must go through so many. Peers are taken in the order of
 * their ids.
 */
export function placeEvenly(numStages: number): PlaceLayers {
  return ({ numLayers }, peers) => {
    const shards = splitLayers(numLayers, Math.min(numStages, numLayers, peers.length));
    const ids = peers.map(({ id }) => id).sort();
    const stages = shards.map((shard, i) => ({ peerId: ids[i] ?? "", shard }));
    return { type: "placed", stages, slowestMs: NaN };
  };
}
