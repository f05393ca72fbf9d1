import type { LinkView } from "../../src/peer/peer_view.ts";
import { ROUTES, rttText } from "./routes.ts";

/** The peers that this one talks to. */
export function PeersTable({ links }: { readonly links: readonly LinkView[] }) {
  return (
    <table class="peers">
      <caption>Connected to</caption>
      <thead>
        <tr>
          <th scope="col">Device</th>
          <th scope="col">Route</th>
          <th scope="col" class="number">Round trip</th>
        </tr>
      </thead>
      <tbody>
        {links.map(({ peerId, isCoordinator, candidateType, rttMs }) => (
          <tr key={peerId}>
            <th scope="row">
              {isCoordinator ? "Coordinator" : "Device"}{" "}
              <small title={peerId}>{peerId.slice(0, 6)}</small>
            </th>
            <td>
              {ROUTES[candidateType]} <code>{candidateType}</code>
            </td>
            <td class="number">{rttText(rttMs)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
