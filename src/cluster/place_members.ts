import type { PlaceLayers } from "../pipeline/place_evenly.ts";
import type { PlacedStage, Placement } from "../pipeline/placement.ts";
import type { ModelCosts } from "../stage/model_costs.ts";
import type { Member } from "./member.ts";

/** A device that measured nothing is slow, not useless. */
const SLOWEST_GBPS = 0.01;

/** Who should hold which layers; `previous` is kept while it is nearly as good. */
export function placeMembers(
  members: readonly Member[],
  { place, costs, previous }: {
    readonly place: PlaceLayers;
    readonly costs: ModelCosts;
    readonly previous: readonly PlacedStage[];
  },
): Placement {
  const peers = members.map(({ link, offer, memoryBytes }) => ({
    id: link.peerId,
    memoryBytes,
    readGBps: Math.max(SLOWEST_GBPS, offer?.device.readGBps ?? 0),
  }));
  return place(costs, peers, { previous });
}

/** True when the same peers hold the same layers. */
export function isSamePlacement(a: readonly PlacedStage[], b: readonly PlacedStage[]): boolean {
  return a.length === b.length &&
    a.every((stage, i) =>
      stage.peerId === b[i]?.peerId && stage.shard.startLayer === b[i]?.shard.startLayer &&
      stage.shard.endLayer === b[i]?.shard.endLayer
    );
}
