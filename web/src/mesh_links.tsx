import type { ClusterStatus, LinkStatus } from "../../src/cluster/status.ts";
import { ROUTES, rttText } from "./routes.ts";

/** Who is connected to whom, and how. */
export function MeshLinks({ status }: { readonly status: ClusterStatus }) {
  const nameOf = (id: string) =>
    id === status.coordinatorId
      ? "Coordinator"
      : status.peers.find((peer) => peer.id === id)?.name ?? id.slice(0, 6);
  return (
    <table class="peers">
      <caption>Connections</caption>
      <thead>
        <tr>
          <th scope="col">Between</th>
          <th scope="col">Route</th>
          <th scope="col" class="number">Round trip</th>
        </tr>
      </thead>
      <tbody>
        {onePerPair(status.links).map(({ from, to, candidateType, rttMs }) => (
          <tr key={`${from} ${to}`}>
            <th scope="row">{nameOf(from)} – {nameOf(to)}</th>
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

/** Both ends tell of a link; the first that does counts. */
function onePerPair(links: readonly LinkStatus[]): readonly LinkStatus[] {
  const byPair = new Map<string, LinkStatus>();
  for (const link of links) {
    const pair = [link.from, link.to].sort().join();
    if (!byPair.has(pair)) byPair.set(pair, link);
  }
  return [...byPair.values()];
}
