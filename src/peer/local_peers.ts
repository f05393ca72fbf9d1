import { memoryLinkPair } from "../mesh/memory_link.ts";
import type { Mesh } from "../mesh/mesh.ts";
import { Peer, type PeerOptions } from "./peer.ts";

/** Peers in the coordinator's own process, and how they reach it. */
export interface LocalPeersOptions extends Omit<PeerOptions, "mesh" | "host" | "heldFiles"> {
  readonly coordinator: Mesh;
  /** One for each peer. */
  readonly hosts: readonly PeerOptions["host"][];
  /** Makes each one a member of the room, so that peers elsewhere reach it too. */
  readonly join: () => Promise<Mesh>;
}

/** Starts a peer for each host; they and the coordinator talk through memory. */
export async function startLocalPeers(options: LocalPeersOptions): Promise<readonly Peer[]> {
  const { coordinator, hosts, join, clock } = options;
  const meshes: Mesh[] = [];
  const peers: Peer[] = [];
  for (const [i, host] of hosts.entries()) {
    const mesh = await join();
    const name = hosts.length === 1 ? options.name : `${options.name} ${i + 1}`;
    peers.push(new Peer({ ...options, mesh, host, name, heldFiles: () => Promise.resolve([]) }));
    for (const other of [coordinator, ...meshes]) {
      const pair = memoryLinkPair({ clock, a: other.peerId, b: mesh.peerId });
      other.adopt(pair.a);
      mesh.adopt(pair.b);
    }
    meshes.push(mesh);
  }
  return peers;
}
