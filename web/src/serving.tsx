import { formatBytes, formatCount, formatRate } from "./format.ts";
import { heldLayers } from "./held_layers.ts";
import { LayerTiles } from "./layer_tiles.tsx";
import type { PeerView } from "../../src/peer/peer_view.ts";
import { Sparkline } from "./sparkline.tsx";

/** What the GPU does for the mesh, in figures. */
export function Serving({ peer, speeds }: {
  readonly peer: PeerView;
  /** Tokens per second over the last minute, oldest first. */
  readonly speeds: readonly number[];
}) {
  const layers = heldLayers(peer);
  const isBusy = peer.tokensPerS > 0;
  return (
    <>
      {layers !== null && (
        <LayerTiles
          layers={layers}
          share={1}
          tone={isBusy ? "active" : "idle"}
        />
      )}
      <div class="speed">
        <p>
          <strong>{formatRate(peer.tokensPerS)}</strong>{" "}
          <span>{isBusy ? "tokens per second" : "tokens per second, ready for the next"}</span>
        </p>
        <Sparkline values={speeds} />
      </div>
      <dl class="figures">
        <div>
          <dt>Tokens so far</dt>
          <dd>{formatCount(peer.numTokens)}</dd>
        </div>
        <div>
          <dt>Received</dt>
          <dd>{formatBytes(peer.bytesIn)}</dd>
        </div>
        <div>
          <dt>Sent</dt>
          <dd>{formatBytes(peer.bytesOut)}</dd>
        </div>
      </dl>
    </>
  );
}
