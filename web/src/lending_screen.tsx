import { layersText } from "./held_layers.ts";
import type { PageActions } from "./lend_page.ts";
import { LoadProgress } from "./load_progress.tsx";
import { PeersTable } from "./peers_table.tsx";
import type { PeerView } from "../../src/peer/peer_view.ts";
import { Serving } from "./serving.tsx";
import type { PageState } from "./state.ts";
import { WaitingScreen } from "./waiting_screen.tsx";

/** What the peer does, with Pause and Leave. */
export function LendingScreen({ state, actions }: {
  readonly state: PageState;
  readonly actions: PageActions;
}) {
  const { peer } = state;
  const isPaused = peer?.state === "paused";
  const canPause = peer?.state === "waiting" || peer?.state === "loading" ||
    peer?.state === "serving";
  return (
    <>
      <Body state={state} />
      {peer !== null && peer.links.length > 0 && <PeersTable links={peer.links} />}
      <div class="buttons">
        {isPaused && (
          <button type="button" class="primary" onClick={() => actions.resume()}>Resume</button>
        )}
        {canPause && (
          <button type="button" class="primary" onClick={() => actions.pause()}>Pause</button>
        )}
        <button type="button" class="quiet" onClick={() => actions.leave()}>Leave</button>
      </div>
    </>
  );
}

function Body({ state }: { readonly state: PageState }) {
  const { peer } = state;
  switch (peer?.state) {
    case undefined:
    case "connecting":
      return (
        <WaitingScreen title="Connecting" text="Looking for the coordinator of this mesh.">
          <Note peer={peer} />
        </WaitingScreen>
      );
    case "waiting":
      return (
        <WaitingScreen
          title="Ready, waiting for layers"
          text="Your GPU is in the mesh. The coordinator hands out layers when the devices together have room for the model. Nothing is downloaded until then."
        >
          <Note peer={peer} />
        </WaitingScreen>
      );
    case "loading":
      return (
        <>
          <h1 tabIndex={-1}>Getting {layersText(peer!)}</h1>
          <ModelName peer={peer!} />
          <LoadProgress peer={peer!} download={state.download} />
          <Note peer={peer} />
        </>
      );
    case "serving":
      return (
        <>
          <h1 tabIndex={-1}>Serving {layersText(peer!)}</h1>
          <ModelName peer={peer!} />
          <Serving peer={peer!} speeds={state.speeds} />
          <Note peer={peer} />
        </>
      );
    case "paused":
      return (
        <>
          <h1 tabIndex={-1}>Paused</h1>
          <p class="lead">
            Your GPU is idle. The weights stay on this device, so going on is quick.
          </p>
          <Note peer={peer} />
        </>
      );
    case "coordinator-gone":
      return (
        <WaitingScreen
          title="The coordinator is out of reach"
          text="This page keeps trying by itself, at irregular intervals, and goes on when the coordinator answers. If it does not, ask whoever sent you the link whether it is still running."
        >
          <Note peer={peer} />
        </WaitingScreen>
      );
    case "refused":
    case "left":
      return <h1 tabIndex={-1}>Stopped</h1>;
  }
}

function ModelName({ peer }: { readonly peer: PeerView }) {
  return peer.modelName === null ? null : <p class="lead">of {peer.modelName}</p>;
}

function Note({ peer }: { readonly peer: PeerView | null | undefined }) {
  return peer?.note ? <p class="note">{peer.note}</p> : null;
}
