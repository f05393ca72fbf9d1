/** What the person who runs a mesh may see of it. */
import type { ClusterStatus, LinkStatus, PeerStatus } from "../../src/cluster/status.ts";
import { joinInstructions } from "../../src/cluster/join_instructions.ts";
import { GIB } from "../../web/src/memory_range.ts";
import type { MeshState } from "../../web/src/mesh_watch.ts";

const COORDINATOR = "3f9a1c77d0e2b4a6885d1c3e9f7a2b40";

const PEER: PeerStatus = {
  id: "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
  name: "attic",
  state: "serving",
  isLocal: false,
  adapter: "NVIDIA GeForce RTX 4070 Laptop GPU",
  backend: "dawn",
  isSoftware: false,
  memoryBytes: 6 * GIB,
  readGBps: 236.4,
  matmulGflops: 6_212,
  startLayer: 0,
  endLayer: 14,
  hasEmbedding: true,
  hasHead: false,
  shardBytes: 412e6,
  heldBytes: 412e6,
  loadedBytes: 412e6,
  downloadedBytes: 412e6,
  numTokens: 18_402,
  numRefused: 0,
  stepMs: 4.2,
  note: null,
};

const PEERS: readonly PeerStatus[] = [
  PEER,
  {
    ...PEER,
    id: "b17c02d9e4f58a6371c0d2e4f6a81b93",
    name: "Chrome on Windows",
    backend: "browser",
    memoryBytes: 2 * GIB,
    startLayer: 14,
    endLayer: 24,
    hasEmbedding: false,
    stepMs: 11.8,
  },
  {
    ...PEER,
    id: "77e0a9c1b2d3f4e5a6978812c3d4e5f6",
    name: "Safari on iPad",
    adapter: "apple metal-3",
    memoryBytes: GIB,
    startLayer: 24,
    endLayer: 30,
    hasEmbedding: false,
    hasHead: true,
    stepMs: 23.4,
  },
  {
    ...PEER,
    id: "c4d5e6f708192a3b4c5d6e7f80910a1b",
    name: "laptop",
    state: "standby",
    startLayer: null,
    endLayer: null,
    stepMs: null,
  },
];

function link(
  from: string,
  to: string,
  seen: Pick<LinkStatus, "candidateType" | "rttMs">,
): LinkStatus {
  return { from, to, ...seen, bytesIn: 84e6, bytesOut: 85e6, bufferedBytes: 0 };
}

const STATUS: ClusterStatus = {
  state: "serving",
  note: null,
  model: "SmolLM2-135M-Instruct",
  numLayers: 30,
  epoch: 3,
  coordinatorId: COORDINATOR,
  peers: PEERS,
  links: [
    link(COORDINATOR, PEERS[0]!.id, { candidateType: "host", rttMs: 0.7 }),
    link(COORDINATOR, PEERS[2]!.id, { candidateType: "relay", rttMs: 41.2 }),
    link(PEERS[0]!.id, PEERS[1]!.id, { candidateType: "host", rttMs: 2.4 }),
    link(PEERS[1]!.id, PEERS[0]!.id, { candidateType: "prflx", rttMs: 2.6 }),
    link(PEERS[1]!.id, PEERS[2]!.id, { candidateType: "srflx", rttMs: null }),
  ],
  pipeline: PEERS.slice(0, 3).map(({ id }) => id),
  kvTokens: 131_072,
  missingBytes: 0,
  tokensPerS: 31.7,
  numRunning: 4,
  numWaiting: 0,
};

/** The mesh while its status is as `status` says. */
export function watching(status: Partial<ClusterStatus>): MeshState & { type: "watching" } {
  return {
    type: "watching",
    status: { ...STATUS, ...status },
    join: joinInstructions({
      link: "https://192.168.1.20:8420/#v1.KkGsnzsXem_q8i27hUfj5Q.yxkK95edTgRJyBHJBvbQgA",
      note: null,
    }),
    speeds: Array.from({ length: 48 }, (_, second) => 30 + 9 * Math.sin(second / 5)),
    isLive: true,
  };
}

/** By name. */
export const MESH_STATES: Readonly<Record<string, Exclude<MeshState, { type: "absent" }>>> = {
  "mesh-opening": { type: "opening" },
  "mesh-locked": { type: "locked", isWrong: true },
  "mesh-refused": { type: "refused", reason: "Pages of http://a.test may not call this" },
  "mesh-empty": watching({
    state: "waiting",
    note: "No peer has joined yet",
    peers: [],
    links: [],
    pipeline: [],
  }),
  "mesh-loading": watching({
    state: "loading",
    peers: [{ ...PEER, state: "loading", loadedBytes: 271e6, stepMs: null }],
    pipeline: [],
  }),
  "mesh-serving": watching({}),
  "mesh-gone": { ...watching({}), isLive: false },
};
