/** One state of the page for every screen, as a person may meet it. */
import type { Problem } from "../../web/src/problem.ts";
import { GIB, memoryRange } from "../../web/src/memory_range.ts";
import type { PeerView } from "../../src/peer/peer_view.ts";
import { INITIAL_STATE, type PageState } from "../../web/src/state.ts";

export const PEER_VIEW: PeerView = {
  peerId: "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
  state: "connecting",
  note: null,
  startLayer: 10,
  endLayer: 20,
  hasEmbedding: false,
  hasHead: false,
  load: null,
  numTokens: 0,
  tokensPerS: 0,
  bytesIn: 0,
  bytesOut: 0,
  links: [],
  modelName: "SmolLM2-135M-Instruct",
};

const LINKS: PeerView["links"] = [
  {
    peerId: "3f9a1c77d0e2b4a6885d1c3e9f7a2b40",
    isCoordinator: true,
    bytesIn: 0,
    bytesOut: 0,
    rttMs: 4.2,
    candidateType: "host",
  },
  {
    peerId: "b17c02d9e4f58a6371c0d2e4f6a81b93",
    isCoordinator: false,
    bytesIn: 0,
    bytesOut: 0,
    rttMs: 23.4,
    candidateType: "srflx",
  },
  {
    peerId: "77e0a9c1b2d3f4e5a6978812c3d4e5f6",
    isCoordinator: false,
    bytesIn: 0,
    bytesOut: 0,
    rttMs: null,
    candidateType: "relay",
  },
];

const READY: PageState = {
  ...INITIAL_STATE,
  screen: { type: "asking" },
  adapter: {
    name: "NVIDIA GeForce RTX 4070 Laptop GPU",
    vendor: "nvidia",
    architecture: "lovelace",
    isSoftware: false,
    hasF16: true,
    subgroups: { minSize: 32, maxSize: 32 },
    maxBufferBytes: 4 * GIB,
    maxBindingBytes: 2 * GIB,
  },
  memory: memoryRange({ deviceMemoryGiB: null, maxBufferBytes: GIB }),
  settings: { name: "Chrome on Windows", memoryBytes: 2 * GIB },
  storage: { usedBytes: 94.1e6, quotaBytes: 58.3e9, isPersistent: true },
};

const LENDING: PageState = {
  ...READY,
  screen: { type: "lending" },
  device: {
    adapterName: "NVIDIA GeForce RTX 4070 Laptop GPU",
    backend: "browser",
    isSoftware: false,
    hasF16: true,
    subgroupSize: 32,
    maxBindingBytes: 2 * GIB,
    usesF16Kv: true,
    readGBps: 236.4,
    matmulGflops: 6_212,
  },
};

/** The page while its peer is as `view` says. */
export function lending(view: Partial<PeerView>): PageState {
  return { ...LENDING, peer: { ...PEER_VIEW, ...view } };
}

function problem(problem: Problem): PageState {
  const isBefore = ["unsupported", "insecure", "no-link", "damaged-link", "no-adapter"]
    .includes(problem.type);
  return { ...(isBefore ? INITIAL_STATE : READY), screen: { type: "problem", problem } };
}

/** By name. */
export const PAGE_STATES: Readonly<Record<string, PageState>> = {
  opening: INITIAL_STATE,
  asking: READY,
  "asking-software": {
    ...READY,
    adapter: {
      name: "SwiftShader Device (Subzero) (0x0000C0DE)",
      vendor: "google",
      architecture: "swiftshader",
      isSoftware: true,
      hasF16: false,
      subgroups: { minSize: 4, maxSize: 4 },
      maxBufferBytes: GIB,
      maxBindingBytes: GIB,
    },
  },
  testing: { ...READY, screen: { type: "testing" } },
  connecting: lending({}),
  silent: lending({ note: "No coordinator answers: is it running?" }),
  waiting: lending({ state: "waiting", note: "1.4 GB more memory is needed", links: LINKS }),
  loading: {
    ...lending({
      state: "loading",
      load: { loadedBytes: 412e6, totalBytes: 705e6, downloadedBytes: 251e6 },
      links: LINKS.slice(0, 1),
    }),
    download: { readings: [], perS: 7.9e6 },
  },
  serving: {
    ...lending({
      state: "serving",
      hasEmbedding: true,
      startLayer: 0,
      endLayer: 16,
      numTokens: 18_402,
      tokensPerS: 31.7,
      bytesIn: 84.2e6,
      bytesOut: 85.1e6,
      links: LINKS,
    }),
    speeds: Array.from({ length: 48 }, (_, second) => 30 + 9 * Math.sin(second / 5)),
  },
  "serving-idle": lending({ state: "serving", hasHead: true, links: LINKS.slice(0, 2) }),
  paused: lending({ state: "paused", links: LINKS.slice(0, 1) }),
  "coordinator-gone": lending({ state: "coordinator-gone", note: "Next try in 8 s" }),
  left: {
    ...READY,
    screen: { type: "left" },
    peer: { ...PEER_VIEW, numTokens: 18_402, bytesIn: 84.2e6, bytesOut: 85.1e6 },
  },
  unsupported: problem({ type: "unsupported", missing: ["WebGPU"] }),
  insecure: problem({ type: "insecure", origin: "http://192.168.1.20:8420" }),
  "no-link": problem({ type: "no-link" }),
  "damaged-link": problem({
    type: "damaged-link",
    reason: "The join link is cut off in its secret: copy the whole link again",
  }),
  "no-adapter": problem({ type: "no-adapter" }),
  unfit: problem({
    type: "unfit",
    reason: '"Intel HD 4000" cannot be used: rms_norm gives 0 instead of 1.25 at element 3',
  }),
  memory: problem({
    type: "memory",
    reason: "The device is out of memory: 512 MiB were asked for",
  }),
  "device-lost": problem({ type: "device-lost", reason: "GPU device lost (unknown): reset" }),
  "device-lost-often": problem({ type: "device-lost-often", reason: "GPU device lost: reset" }),
  refused: problem({ type: "refused", reason: "The link's secret is not that of this mesh" }),
};
