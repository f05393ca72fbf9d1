/**
 * The mesh as /cluster/status shows it. JSON: sizes in bytes, times in milliseconds.
 *
 * @module
 */
import type { CandidateType } from "../mesh/peer_link.ts";

/** What one peer is doing: "standby" peers hold nothing now and are ready to. */
export type PeerState =
  | "connecting"
  | "standby"
  | "paused"
  | "loading"
  | "ready"
  | "serving"
  | "failed";

/** A link as one of its ends sees it. */
export interface LinkStatus {
  readonly from: string;
  readonly to: string;
  readonly rttMs: number | null;
  readonly candidateType: CandidateType;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly bufferedBytes: number;
}

/** One peer. */
export interface PeerStatus {
  readonly id: string;
  readonly name: string;
  readonly state: PeerState;
  /** In this process, beside the coordinator. */
  readonly isLocal: boolean;
  readonly adapter: string;
  readonly backend: string;
  readonly isSoftware: boolean;
  /** Lent memory. */
  readonly memoryBytes: number;
  readonly readGBps: number;
  readonly matmulGflops: number;
  /** Layers [startLayer, endLayer); null on standby. */
  readonly startLayer: number | null;
  readonly endLayer: number | null;
  readonly hasEmbedding: boolean;
  readonly hasHead: boolean;
  /** Bytes of its shard's tensors; 0 on standby. */
  readonly shardBytes: number;
  readonly loadedBytes: number;
  /** Of model files, in its cache when it joined. */
  readonly heldBytes: number;
  /** Over the network, for the shard that it holds. */
  readonly downloadedBytes: number;
  /** Tokens that went through its stage since it was loaded. */
  readonly numTokens: number;
  /** Frames of another epoch, or out of order, that its stage did not compute. */
  readonly numRefused: number;
  /** Mean time of a step in its stage over the last seconds; null when none ran. */
  readonly stepMs: number | null;
  /** Why it failed, or what it is waiting for. */
  readonly note: string | null;
}

/** "waiting" for peers, "loading" shards, "serving", or "failed" until the mesh changes. */
export type ClusterState = "waiting" | "loading" | "serving" | "failed";

/** Everything. */
export interface ClusterStatus {
  readonly state: ClusterState;
  /** What is missing or wrong, for people; null when all is well. */
  readonly note: string | null;
  readonly model: string;
  readonly numLayers: number;
  /** Counts up with every new pipeline, from a random number. */
  readonly epoch: number;
  readonly coordinatorId: string;
  /** In the order of their layers, then the others. */
  readonly peers: readonly PeerStatus[];
  readonly links: readonly LinkStatus[];
  /** Ids of the serving peers, in the order of their stages. */
  readonly pipeline: readonly string[];
  /** Tokens that the KV cache holds, over all sequences; 0 while nothing serves. */
  readonly kvTokens: number;
  /** Memory that is missing to hold the model; 0 when there is enough. */
  readonly missingBytes: number;
  /** Over the last seconds. */
  readonly tokensPerS: number;
  readonly numRunning: number;
  readonly numWaiting: number;
}

/** What a joiner is told. */
export interface JoinInstructions {
  /** To be opened in a browser or given to `deno task node --join`. Holds the room's secret. */
  readonly link: string;
  readonly command: string;
  /** The link as a QR code, SVG. */
  readonly qrSvg: string;
  /** What keeps the link from working elsewhere, and the fix; null when nothing does. */
  readonly note: string | null;
}
