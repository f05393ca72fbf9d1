import type { CandidateType, PeerLink } from "../mesh/peer_link.ts";
import type { LoadState } from "../stage/stage_host.ts";
import type { ShardHolder } from "./shard_holder.ts";

/**
 * "connecting" to the coordinator for the first time, "waiting" for layers, "refused" by the
 * coordinator, "coordinator-gone" until it is back, "left" for good.
 */
export type PeerState =
  | "connecting"
  | "waiting"
  | "loading"
  | "serving"
  | "paused"
  | "refused"
  | "coordinator-gone"
  | "left";

/** A link as its own end sees it. */
export interface LinkView {
  readonly peerId: string;
  readonly isCoordinator: boolean;
  readonly rttMs: number | null;
  readonly candidateType: CandidateType;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** A lent device as its owner sees it. */
export interface PeerView {
  readonly peerId: string;
  readonly state: PeerState;
  /** Why, for people; null when there is nothing to say. */
  readonly note: string | null;
  readonly modelName: string | null;
  /** Layers [startLayer, endLayer) that are held or loaded; null when none are. */
  readonly startLayer: number | null;
  readonly endLayer: number | null;
  readonly hasEmbedding: boolean;
  readonly hasHead: boolean;
  readonly load: LoadState | null;
  /** Tokens that went through the stage since it was loaded. */
  readonly numTokens: number;
  /** Over the last seconds. */
  readonly tokensPerS: number;
  /** Over all links since the start. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly links: readonly LinkView[];
}

/** What a view shows of a peer. */
export interface ShownPeer {
  readonly peerId: string;
  readonly state: PeerState;
  readonly note: string | null;
  readonly modelName: string | null;
  readonly coordinator: PeerLink | null;
  readonly holder: ShardHolder | null;
  readonly tokensPerS: number;
  /** All that are open. */
  readonly links: readonly PeerLink[];
  /** Of links that are closed. */
  readonly pastBytes: { readonly in: number; readonly out: number };
}

/** A peer as it is now. */
export function viewOf({ holder, coordinator, pastBytes, ...shown }: ShownPeer): PeerView {
  const links = shown.links.map((link) => {
    const { rttMs, candidateType, bytesIn, bytesOut } = link.stats;
    const isCoordinator = link === coordinator;
    return { peerId: link.peerId, isCoordinator, rttMs, candidateType, bytesIn, bytesOut };
  });
  const shard = holder?.shard ?? null;
  return {
    ...shown,
    note: shown.note ?? holder?.failure ?? null,
    startLayer: shard?.startLayer ?? null,
    endLayer: shard?.endLayer ?? null,
    hasEmbedding: shard?.hasEmbedding ?? false,
    hasHead: shard?.hasHead ?? false,
    load: holder?.load ?? null,
    numTokens: holder?.stats?.numTokens ?? 0,
    bytesIn: links.reduce((sum, link) => sum + link.bytesIn, pastBytes.in),
    bytesOut: links.reduce((sum, link) => sum + link.bytesOut, pastBytes.out),
    links,
  };
}
