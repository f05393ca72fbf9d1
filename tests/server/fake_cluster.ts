/** A mesh that says what it is told to. */
import type { ClusterStatus } from "../../src/cluster/status.ts";
import type { ClusterView } from "../../src/server/options.ts";

/** A mesh of no peers; `change` shows how many sequences run and tells who listens. */
export interface FakeCluster extends ClusterView {
  readonly numListeners: number;
  change(numRunning: number): void;
}

export function fakeCluster(): FakeCluster {
  const listeners = new Set<() => void>();
  let numRunning = 0;
  return {
    get numListeners() {
      return listeners.size;
    },
    change: (number) => {
      numRunning = number;
      for (const listener of listeners) listener();
    },
    status: () => ({ ...STATUS, numRunning }),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    join: () => ({
      link: "http://localhost:8420/#v1.room.secret",
      command: 'deno task node --join "http://localhost:8420/#v1.room.secret"',
      qrSvg: "<svg>secret</svg>",
      note: null,
    }),
  };
}

const STATUS: ClusterStatus = {
  state: "waiting",
  note: "Waiting for peers",
  model: "acme/tiny",
  numLayers: 4,
  epoch: 0,
  coordinatorId: "coordinator",
  peers: [],
  links: [],
  pipeline: [],
  kvTokens: 0,
  missingBytes: 1000,
  tokensPerS: 0,
  numRunning: 0,
  numWaiting: 0,
};
