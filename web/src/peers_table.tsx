import type { CandidateType } from "../../src/mesh/peer_link.ts";
import type { LinkView } from "../../src/peer/peer_view.ts";

/** What a candidate type means for people. */
const ROUTES: Readonly<Record<CandidateType, string>> = {
  host: "Direct",
  srflx: "Direct, via router",
  prflx: "Direct, via router",
  relay: "Via a relay",
  memory: "This page",
  unknown: "Not known yet",
};

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
            <td class="number">{rttMs === null ? "–" : `${formatRtt(rttMs)} ms`}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function formatRtt(rttMs: number): string {
  return rttMs.toFixed(rttMs < 10 ? 1 : 0);
}
