import { formatBytes, formatWait } from "./format.ts";
import { heldLayers } from "./held_layers.ts";
import { LayerTiles } from "./layer_tiles.tsx";
import type { PeerView } from "../../src/peer/peer_view.ts";
import type { Rate } from "./rate.ts";

/** How far the weights are: what was here already, what came over the network, what is missing. */
export function LoadProgress({ peer, download }: {
  readonly peer: PeerView;
  readonly download: Rate;
}) {
  const layers = heldLayers(peer);
  const { loadedBytes, totalBytes, downloadedBytes } = peer.load ??
    { loadedBytes: 0, totalBytes: 0, downloadedBytes: 0 };
  const cachedBytes = Math.max(0, loadedBytes - downloadedBytes);
  const share = totalBytes > 0 ? Math.min(1, loadedBytes / totalBytes) : 0;
  const percent = Math.floor(share * 100);
  const missingBytes = Math.max(0, totalBytes - loadedBytes);
  return (
    <>
      {layers !== null && <LayerTiles layers={layers} share={share} tone="idle" />}
      <div
        class="progress"
        role="progressbar"
        aria-label="Weights on this device"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
      >
        <span class="cached" style={{ width: `${percentOf(cachedBytes, totalBytes)}%` }} />
        <span
          class="remote"
          style={{ width: `${percentOf(loadedBytes - cachedBytes, totalBytes)}%` }}
        />
      </div>
      <p class="progress-line">
        <strong>{percent}%</strong>
        <span>{formatBytes(loadedBytes)} of {formatBytes(totalBytes)}</span>
        {download.perS > 0 && <span>{formatBytes(download.perS)}/s</span>}
        {download.perS > 0 && missingBytes > 0 && (
          <span>{formatWait(missingBytes / download.perS)} left</span>
        )}
      </p>
      <dl class="figures two">
        <div>
          <dt>
            <i class="key cached" aria-hidden="true" />Kept from before
          </dt>
          <dd>{formatBytes(cachedBytes)}</dd>
        </div>
        <div>
          <dt>
            <i class="key remote" aria-hidden="true" />Downloaded now
          </dt>
          <dd>{formatBytes(downloadedBytes)}</dd>
        </div>
      </dl>
      <p class="hint">You may reload or close the page: what is here is not downloaded again.</p>
    </>
  );
}

function percentOf(part: number, whole: number): number {
  return whole > 0 ? Math.min(100, (Math.max(0, part) * 100) / whole) : 0;
}
