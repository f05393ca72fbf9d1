import { useEffect } from "preact/hooks";
import type { ClusterStatus } from "../../src/cluster/status.ts";
import type { Announcement } from "./announcement.ts";
import { ApiKeyScreen } from "./api_key_screen.tsx";
import { formatRate } from "./format.ts";
import { Header } from "./header.tsx";
import { JoinCard } from "./join_card.tsx";
import { LayerMap } from "./layer_map.tsx";
import { layerSegments } from "./layer_segments.ts";
import { MeshLinks } from "./mesh_links.tsx";
import { MeshPeers } from "./mesh_peers.tsx";
import type { MeshState } from "./mesh_watch.ts";
import { Sparkline } from "./sparkline.tsx";
import { WaitingScreen } from "./waiting_screen.tsx";

/** The mesh for the person who runs it: who holds what, how fast, and how others join. */
export function MeshPage({ state, onKey }: {
  readonly state: Exclude<MeshState, { type: "absent" }>;
  readonly onKey: (key: string) => void;
}) {
  const announcement = announcementOf(state);
  useEffect(() => {
    document.title = `${announcement.word} · Tessera`;
  }, [announcement.word]);
  const isWatching = state.type === "watching";
  return (
    <>
      <Header {...announcement} />
      <div class={isWatching ? "columns" : "columns single"}>
        <main class="card">
          <Screen state={state} onKey={onKey} />
        </main>
        {isWatching && (
          <aside class="aside" aria-label="Joining">
            <JoinCard join={state.join} />
          </aside>
        )}
      </div>
    </>
  );
}

function Screen({ state, onKey }: Parameters<typeof MeshPage>[0]) {
  switch (state.type) {
    case "opening":
      return <WaitingScreen title="Looking for the mesh" text="This takes a moment." />;
    case "locked":
      return <ApiKeyScreen isWrong={state.isWrong} onKey={onKey} />;
    case "refused":
      return (
        <>
          <h1 tabIndex={-1}>The coordinator does not answer this page</h1>
          <p class="note">{state.reason}</p>
        </>
      );
    case "watching":
      return <Watching state={state} />;
  }
}

function Watching({ state }: { readonly state: Extract<MeshState, { type: "watching" }> }) {
  const { status, speeds, isLive } = state;
  const { peers, links, numLayers, numRunning, numWaiting, tokensPerS } = status;
  return (
    <>
      <h1 tabIndex={-1}>{isLive ? TITLES[status.state] : "The coordinator is out of reach"}</h1>
      <p class="lead">{leadOf(status)}</p>
      {status.note !== null && <p class="note">{status.note}</p>}
      <LayerMap segments={layerSegments(peers, numLayers)} />
      {status.state === "serving" && (
        <div class="speed">
          <p>
            <strong>{formatRate(tokensPerS)}</strong>{" "}
            <span>tokens per second, {numRunning} running, {numWaiting} waiting</span>
          </p>
          <Sparkline values={speeds} />
        </div>
      )}
      {peers.length > 0 && <MeshPeers peers={peers} />}
      {links.length > 0 && <MeshLinks status={status} />}
      <p>
        Any OpenAI client can use it: <code>{`${location.origin}/v1`}</code>
      </p>
    </>
  );
}

const TITLES = {
  waiting: "Waiting for devices",
  loading: "Giving out layers",
  serving: "The mesh is serving",
  failed: "The mesh has stopped",
} as const satisfies Record<ClusterStatus["state"], string>;

function leadOf({ model, numLayers, pipeline }: ClusterStatus): string {
  const devices = pipeline.length === 1 ? "one device" : `${pipeline.length} devices`;
  return pipeline.length > 0
    ? `${model}: ${numLayers} layers on ${devices}`
    : `${model}, with ${numLayers} layers to share`;
}

function announcementOf(state: Exclude<MeshState, { type: "absent" }>): Announcement {
  switch (state.type) {
    case "opening":
      return { word: "Looking", sentence: "Looking for the mesh", tone: "busy" };
    case "locked":
      return { word: "Private", sentence: "This mesh wants an API key", tone: "calm" };
    case "refused":
      return {
        word: "Stopped",
        sentence: "The coordinator does not answer this page",
        tone: "bad",
      };
    case "watching": {
      if (!state.isLive) {
        return { word: "Reconnecting", sentence: "The coordinator is out of reach", tone: "bad" };
      }
      const sentence = TITLES[state.status.state];
      return { sentence, ...WORDS[state.status.state] };
    }
  }
}

const WORDS = {
  waiting: { word: "Waiting", tone: "busy" },
  loading: { word: "Loading", tone: "busy" },
  serving: { word: "Serving", tone: "good" },
  failed: { word: "Stopped", tone: "bad" },
} as const satisfies Record<ClusterStatus["state"], Omit<Announcement, "sentence">>;
