import { BLOCK_SIZE } from "../core.ts";
import type { SchedulerStats } from "../scheduler/scheduler.ts";
import type { Cluster } from "./cluster.ts";
import type { Member } from "./member.ts";
import type { ClusterStatus, LinkStatus, PeerStatus } from "./status.ts";

/** What only the cluster's owner knows. */
export interface StatusContext {
  readonly coordinatorId: string;
  readonly model: string;
  readonly numLayers: number;
  /** Peers of this process. */
  readonly localIds: ReadonlySet<string>;
  readonly stats: Pick<SchedulerStats, "numRunning" | "numWaiting">;
  readonly tokensPerS: number;
}

/** A cluster as it is now. */
export function clusterStatus(cluster: Cluster, context: StatusContext): ClusterStatus {
  const { coordinatorId, model, numLayers, localIds, stats, tokensPerS } = context;
  const members = cluster.members.filter((member) => member.offer !== null);
  return {
    state: cluster.condition.state,
    note: cluster.condition.note,
    model,
    numLayers,
    epoch: cluster.epoch,
    coordinatorId,
    peers: members
      .map((member) => peerStatus(member, localIds.has(member.link.peerId)))
      .sort((a, b) => (a.startLayer ?? numLayers) - (b.startLayer ?? numLayers)),
    links: members.flatMap((member) => linkStatuses(member, coordinatorId)),
    pipeline: cluster.stages.map(({ peerId }) => peerId),
    kvTokens: cluster.numBlocks * BLOCK_SIZE,
    missingBytes: cluster.condition.missingBytes,
    tokensPerS,
    numRunning: stats.numRunning,
    numWaiting: stats.numWaiting,
  };
}

function peerStatus(member: Member, isLocal: boolean): PeerStatus {
  const { link, offer, shard, load, report, stepMs, note, state, shardBytes } = member;
  return {
    id: link.peerId,
    name: offer?.name ?? "",
    state,
    isLocal,
    adapter: offer?.device.adapterName ?? "",
    backend: offer?.device.backend ?? "",
    isSoftware: offer?.device.isSoftware ?? false,
    memoryBytes: member.memoryBytes,
    readGBps: offer?.device.readGBps ?? 0,
    matmulGflops: offer?.device.matmulGflops ?? 0,
    startLayer: shard?.startLayer ?? null,
    endLayer: shard?.endLayer ?? null,
    hasEmbedding: shard?.hasEmbedding ?? false,
    hasHead: shard?.hasHead ?? false,
    shardBytes,
    heldBytes: (offer?.heldFiles ?? []).reduce((sum, { bytes }) => sum + bytes, 0),
    loadedBytes: load?.loadedBytes ?? 0,
    downloadedBytes: load?.downloadedBytes ?? 0,
    numTokens: report?.numTokens ?? 0,
    numRefused: report?.numRefused ?? 0,
    stepMs,
    note,
  };
}

/** The coordinator's own end of a peer's link, then what the peer says of its others. */
function linkStatuses({ link, report }: Member, coordinatorId: string): LinkStatus[] {
  return [
    { from: coordinatorId, to: link.peerId, ...link.stats },
    ...(report?.links ?? []).filter(({ to }) => to !== coordinatorId)
      .map((other) => ({ from: link.peerId, ...other })),
  ];
}
