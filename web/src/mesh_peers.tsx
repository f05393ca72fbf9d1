import type { PeerStatus } from "../../src/cluster/status.ts";
import { formatMemory } from "./format.ts";
import { rangeText } from "./layer_segments.ts";

/** Everyone in the mesh, and what they do. */
export function MeshPeers({ peers }: { readonly peers: readonly PeerStatus[] }) {
  return (
    <table class="peers">
      <caption>Devices</caption>
      <thead>
        <tr>
          <th scope="col">Device</th>
          <th scope="col">Layers</th>
          <th scope="col" class="number">Step</th>
        </tr>
      </thead>
      <tbody>
        {peers.map((peer) => (
          <tr key={peer.id}>
            <th scope="row">
              {peer.name}
              <small class="line">{peer.adapter}, lends {formatMemory(peer.memoryBytes)}</small>
              {peer.note !== null && <small class="line">{peer.note}</small>}
            </th>
            <td>
              {peer.startLayer !== null && peer.endLayer !== null && (
                <span class="whole">{rangeText(peer.startLayer, peer.endLayer)}</span>
              )}
              <small class="line">{stateText(peer)}</small>
            </td>
            <td class="number">{peer.stepMs === null ? "–" : `${stepText(peer.stepMs)} ms`}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function stateText({ state, loadedBytes, shardBytes }: PeerStatus): string {
  switch (state) {
    case "connecting":
      return "Connecting";
    case "standby":
      return "Ready to help";
    case "paused":
      return "Paused by its owner";
    case "loading":
      return shardBytes > 0
        ? `Loading, ${Math.floor((100 * loadedBytes) / shardBytes)}%`
        : "Loading";
    case "ready":
      return "Loaded";
    case "serving":
      return "Serving";
    case "failed":
      return "Failed, will be tried again";
  }
}

function stepText(stepMs: number): string {
  return stepMs.toFixed(stepMs < 10 ? 1 : 0);
}
