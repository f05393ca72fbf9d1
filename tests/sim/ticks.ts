import { clusterStatus } from "../../src/cluster/cluster_status.ts";
import { InvariantError } from "./invariant_error.ts";
import type { World } from "./world.ts";

/** How often the slow invariants are looked at. */
export const TICK_MS = 500;
/** 2.5 s of silence, found out at a tick of the keep-alive, after what was still on its way. */
const NOTICE_MS = 3_500 + 3_000;
/** Orders arrive, and links that are lost are found out. */
const IDLE_MS = 10_000;

/** L3: what the status shows is what there is, 3 s later at most. */
export function checkStatus(world: World): void {
  const { cluster, engine, coordinatorId, plan, kernel } = world;
  const status = clusterStatus(cluster, {
    ...{ coordinatorId, model: "tiny", numLayers: plan.numLayers, localIds: new Set() },
    ...{ stats: engine.stats(), tokensPerS: 0 },
  });
  if ((status.state === "serving") !== (status.pipeline.length > 0)) {
    throw new InvariantError("L3", `"${status.state}" with ${status.pipeline.length} stages`);
  }
  for (const peerId of status.pipeline) {
    const shown = status.peers.find(({ id }) => id === peerId);
    if (shown?.state !== "serving" || shown.startLayer === null) {
      throw new InvariantError("L3", `A stage is shown as "${shown?.state}"`);
    }
    const peer = world.peerOf(peerId);
    const absentMs = kernel.nowMs - (peer?.absentSinceMs ?? kernel.nowMs);
    if (absentMs > NOTICE_MS) {
      throw new InvariantError("L3", `A stage is shown ${absentMs.toFixed(0)} ms after it went`);
    }
  }
}

/** Whoever is not to hold anything is told, and gives it up. */
export function checkIdlePeers({ cluster, livePeers, kernel }: World): void {
  for (const peer of livePeers) {
    const { host, peerId, node } = peer;
    // One that still follows an order will tell what came of it.
    const isIdle = cluster.numStages > 0 && node.isAwake && host.wedged === null &&
      !cluster.stages.some((stage) => stage.peerId === peerId) &&
      peer.peer.view().state !== "loading";
    if (!isIdle || host.stage?.isClosed !== false) peer.idleSinceMs = null;
    else peer.idleSinceMs ??= kernel.nowMs;
    if (kernel.nowMs - (peer.idleSinceMs ?? kernel.nowMs) <= IDLE_MS) continue;
    throw new InvariantError("L2", `${node.name} holds a stage that nobody uses`);
  }
}

/** Requests of one client and priority go in their order, but for those that wait for a prefix. */
export function checkOrder({ clients, plan }: World): void {
  const mostOvertaking = 2 * plan.limits.maxSequences + 4;
  for (const client of clients) {
    const { firstTokenMs, startMs, end, index } = client;
    if (firstTokenMs === null || end !== "success") continue;
    const { clientId, priority } = client.plan;
    const overtaking = clients.filter((other) =>
      other.plan.clientId === clientId && other.plan.priority === priority &&
      other.startMs > startMs && other.firstTokenMs !== null && other.firstTokenMs < firstTokenMs
    );
    if (overtaking.length <= mostOvertaking) continue;
    throw new InvariantError("L4", `${overtaking.length} requests overtook request ${index}`);
  }
}
