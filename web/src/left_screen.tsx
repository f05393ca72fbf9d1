import { formatBytes, formatCount } from "./format.ts";
import type { PageActions } from "./lend_page.ts";
import type { PeerView } from "../../src/peer/peer_view.ts";

/** After leaving: what was done, and the way back. */
export function LeftScreen({ peer, actions }: {
  readonly peer: PeerView | null;
  readonly actions: PageActions;
}) {
  return (
    <>
      <h1 tabIndex={-1}>Your GPU is yours again</h1>
      <p class="lead">
        {peer !== null && peer.numTokens > 0
          ? `Thank you: ${formatCount(peer.numTokens)} tokens went through it, with ` +
            `${formatBytes(peer.bytesIn)} received and ${formatBytes(peer.bytesOut)} sent.`
          : "Nothing runs on it any more, and all connections are closed."}
      </p>
      <p>The weights stay on this device for the next time, unless you delete them.</p>
      <div class="buttons">
        <button type="button" class="primary" onClick={() => actions.startAgain()}>
          Lend again
        </button>
        <button type="button" class="quiet" onClick={() => actions.askAgain()}>
          Change settings
        </button>
      </div>
    </>
  );
}
