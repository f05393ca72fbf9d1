import { afterEach, expect, test } from "vitest";
import { soloRoom } from "../../src/mesh/solo_room.ts";
import { Mesh } from "../../src/mesh/mesh.ts";
import { startLocalPeers } from "../../src/peer/local_peers.ts";
import type { Peer } from "../../src/peer/peer.ts";
import { FakeNet } from "../cluster/fake_net.ts";
import { HashChainHost } from "../cluster/hash_chain_host.ts";
import { quickClock } from "../cluster/quick_clock.ts";
import { ScriptedCoordinator } from "./scripted_coordinator.ts";

let peers: readonly Peer[] = [];
afterEach(() => Promise.all(peers.map((peer) => peer.leave("The test is over"))));

function start(net: FakeNet, options: { coordinator: Mesh; numPeers: number; isSolo?: boolean }) {
  const { coordinator, numPeers, isSolo = false } = options;
  let numJoined = 0;
  const soloMesh = () =>
    new Mesh({
      room: soloRoom(`${++numJoined}`.padStart(32, "e")),
      dial: () => Promise.reject(new Error("Nobody can be dialled")),
      clock: quickClock,
    });
  return startLocalPeers({
    coordinator,
    hosts: Array.from({ length: numPeers }, () => new HashChainHost({ hiddenSize: 64 })),
    join: () => Promise.resolve(isSolo ? soloMesh() : net.mesh()),
    ...{ name: "Here", version: "0", memoryBytes: 1 << 30, clock: quickClock },
    rng: { uint32: () => 7 },
  });
}

test("peers in the coordinator's process talk through memory, each to each", async () => {
  for (const isSolo of [false, true]) {
    const net = new FakeNet(quickClock);
    const coordinator = new ScriptedCoordinator(net);
    peers = await start(net, { coordinator: coordinator.mesh, numPeers: 3, isSolo });
    const offers = [];
    for (const peer of peers) offers.push(await coordinator.next(peer, "join"));
    expect(offers.map(({ name }) => name)).toEqual(["Here 1", "Here 2", "Here 3"]);
    // No wire was made through the room.
    expect(net.pairs).toEqual([]);
    for (const peer of peers) {
      const { links } = peer.view();
      expect(links.map(({ candidateType }) => candidateType)).toEqual(Array(3).fill("memory"));
      expect(links.filter(({ isCoordinator }) => isCoordinator)).toHaveLength(1);
    }
    for (const peer of peers) await peer.leave("The test is over");
    coordinator.mesh.close("The test is over");
  }
});

test("a single peer has the name as it is, and takes layers", async () => {
  const net = new FakeNet(quickClock);
  const coordinator = new ScriptedCoordinator(net);
  peers = await start(net, { coordinator: coordinator.mesh, numPeers: 1 });
  expect((await coordinator.next(peers[0]!, "join")).name).toBe("Here");
  await coordinator.order(peers[0]!, 1);
  await coordinator.next(peers[0]!, "ready");
  coordinator.mesh.close("The test is over");
});
