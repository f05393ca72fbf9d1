import { afterEach, describe, expect, test } from "vitest";
import { GpuMemoryError } from "../../src/gpu/context.ts";
import { aborted } from "../../src/mesh/aborted.ts";
import { MAX_NAME_LENGTH, PROTOCOL } from "../../src/mesh/control.ts";
import type { Peer } from "../../src/peer/peer.ts";
import { FakeNet } from "../cluster/fake_net.ts";
import { clockAt, quickClock } from "../cluster/quick_clock.ts";
import { settle } from "../pipeline/hash_chain.ts";
import {
  openPeer,
  ScriptedCoordinator,
  type ScriptOptions,
  untilState,
  WHOLE,
} from "./scripted_coordinator.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const { close } of open.splice(0)) await close();
});

function openNet(): FakeNet {
  return new FakeNet(quickClock);
}

function openCoordinator(net: FakeNet, options: ScriptOptions = {}): ScriptedCoordinator {
  const coordinator = new ScriptedCoordinator(net, options);
  open.push({ close: () => coordinator.mesh.close("The test is over") });
  return coordinator;
}

function join(net: FakeNet, options: Parameters<typeof openPeer>[1] = {}) {
  const joined = openPeer(net, options);
  open.push({ close: () => joined.peer.leave("The test is over") });
  return joined;
}

async function meet(
  options: Parameters<typeof openPeer>[1] = {},
  script: ScriptOptions = {},
) {
  const net = openNet();
  const coordinator = openCoordinator(net, script);
  const joined = join(net, options);
  const offer = await coordinator.next(joined.peer, "join");
  return { net, coordinator, offer, ...joined };
}

describe("joining", () => {
  test("offers the device, and waits", async () => {
    const { offer, peer, host } = await meet({
      heldFiles: () => Promise.resolve([{ key: "00112233", bytes: 5 }]),
    });
    expect(offer).toMatchObject({
      ...{ protocol: PROTOCOL, name: "Ada", memoryBytes: 1 << 30, isPaused: false },
      device: host.device,
      heldFiles: [{ key: "00112233", bytes: 5 }],
    });
    expect(peer.view()).toMatchObject({ state: "waiting", modelName: "llama", startLayer: null });
  });

  test("a cache that cannot be read and a name that is too long keep nobody out", async () => {
    const { offer } = await meet({
      name: "n".repeat(500),
      heldFiles: () => Promise.reject(new Error("The disk is gone")),
    });
    expect(offer).toMatchObject({ name: "n".repeat(MAX_NAME_LENGTH), heldFiles: [] });
  });

  test("another protocol is refused for good, with both numbers", async () => {
    const net = openNet();
    openCoordinator(net, { protocol: PROTOCOL + 1 });
    const { peer } = join(net);
    await untilState(peer, "refused");
    expect(peer.view().note).toBe(
      `The coordinator speaks protocol ${PROTOCOL + 1}, this peer ${PROTOCOL}`,
    );
  });

  test("a refusal is for good", async () => {
    const { coordinator, peer } = await meet();
    coordinator.tell(peer, { type: "refuse", reason: "There is no place" });
    await untilState(peer, "refused");
    expect(peer.view().note).toBe("There is no place");
  });

  test("whoever welcomes first is obeyed, and nobody else", async () => {
    const { net, peer, coordinator } = await meet();
    const other = openCoordinator(net, { isShy: true });
    const link = await other.mesh.connect(peer.view().peerId);
    link.sendControl({ type: "welcome", protocol: 1, name: "x", version: "0", model: "other" });
    await other.order(peer, 9);
    await coordinator.order(peer, 1);
    expect(await coordinator.next(peer, "ready")).toMatchObject({ epoch: 1 });
    expect(other.heard.get(peer.view().peerId)).toEqual([]);
    expect(peer.view().modelName).toBe("llama");
  });

  test("with a coordinator's id in the link, only that one is obeyed", async () => {
    const net = openNet();
    const impostor = openCoordinator(net);
    const coordinator = openCoordinator(net, { isShy: true });
    const { peer } = join(net, { coordinatorId: coordinator.mesh.peerId });
    while (impostor.mesh.links.length === 0) await quickClock.sleep(100);
    await impostor.order(peer, 9);
    impostor.tell(peer, { type: "refuse", reason: "Go away" });
    await quickClock.sleep(500);
    expect(peer.view().state).toBe("connecting");
    expect(impostor.heard.get(peer.view().peerId)).toEqual([]);
    const link = await coordinator.mesh.connect(peer.view().peerId);
    link.sendControl({ type: "welcome", protocol: PROTOCOL, name: "x", version: "0", model: "m" });
    await coordinator.next(peer, "join");
    expect(peer.view()).toMatchObject({ state: "waiting", modelName: "m" });
  });
});

describe("looking for a coordinator", () => {
  /** How long a peer waits between its first announcements, in ms. */
  async function announcementGaps(rng: { uint32(): number }): Promise<number[]> {
    const gaps: number[] = [];
    const { peer } = join(openNet(), {
      rng,
      clock: {
        now: () => 0,
        sleep: async (delayMs, signal) => {
          // Between two reports of what it did.
          if (delayMs === 1_000) return await aborted(signal!);
          gaps.push(delayMs);
          await settle();
          signal?.throwIfAborted();
        },
      },
    });
    while (gaps.length < 12) await settle();
    await peer.leave("Stopped by its owner");
    return gaps.slice(0, 12);
  }

  test("announces itself more and more seldom, and no two peers at the same times", async () => {
    const [least, most] = await Promise.all([
      announcementGaps({ uint32: () => 0 }),
      announcementGaps({ uint32: () => 2 ** 32 - 1 }),
    ]);
    expect([least[0], least[1], least[11]]).toEqual([250, 375, 2_500]);
    least.forEach((ms, i) => expect(most[i]).toBeCloseTo(3 * ms, 3));
    for (const gaps of [least, most]) expect(gaps).toEqual([...gaps].sort((a, b) => a - b));
  });

  test("says what may be wrong when nobody answers", async () => {
    const { peer } = join(openNet(), { clock: clockAt(400) });
    while (peer.view().note === null) await quickClock.sleep(100);
    expect(peer.view()).toMatchObject({
      state: "connecting",
      note: "No coordinator answers: is it running, and is the link the one that it printed last?",
    });
  });

  test("a coordinator that is gone takes the shard along; the next one is obeyed", async () => {
    const { net, coordinator, peer, host } = await meet();
    await coordinator.order(peer, 1);
    await coordinator.next(peer, "ready");
    expect(peer.view()).toMatchObject({ state: "serving", startLayer: 0, endLayer: 3 });
    const { stage } = host;
    coordinator.mesh.close("Stopped by its owner");
    await untilState(peer, "coordinator-gone");
    expect(peer.view()).toMatchObject({ note: "Stopped by its owner", startLayer: null });
    await settle();
    expect(stage?.isClosed).toBe(true);
    const next = openCoordinator(net);
    await next.next(peer, "join");
    await next.order(peer, 1);
    await next.next(peer, "ready");
    expect(host.stage).not.toBe(stage);
    expect(peer.view()).toMatchObject({ state: "serving", note: null });
  });

  test("calls with one voice, however often coordinators came and went", async () => {
    const net = openNet();
    const { peer } = join(net);
    for (let i = 0; i < 4; i++) {
      const coordinator = openCoordinator(net);
      await coordinator.next(peer, "join");
      coordinator.mesh.close("Stopped by its owner");
      await untilState(peer, "coordinator-gone");
    }
    let numCalls = 0;
    const watcher = net.mesh();
    watcher.listen({ onAnnounce: () => void numCalls++ });
    watcher.announce("coordinator");
    await settle();
    expect(numCalls).toBe(1);
    watcher.close("The test is over");
  });

  test("a coordinator that goes while layers are loaded leaves nothing behind", async () => {
    const gate = Promise.withResolvers<void>();
    const { net, coordinator, peer, host } = await meet({ host: { onLoad: () => gate.promise } });
    await coordinator.order(peer, 1);
    await untilState(peer, "loading");
    coordinator.mesh.close("Stopped by its owner");
    const next = openCoordinator(net);
    await next.next(peer, "join");
    await next.order(peer, 1);
    gate.resolve();
    await next.next(peer, "ready");
    expect(host.loads).toHaveLength(1);
    expect(host.stage?.isClosed).toBe(false);
  });
});

describe("orders", () => {
  test("a newer order ends the load that is running and is the only one answered", async () => {
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let numLoads = 0;
    const { coordinator, peer, host } = await meet({
      host: { onLoad: () => gates[numLoads++]!.promise },
    });
    await coordinator.order(peer, 1);
    while (numLoads === 0) await quickClock.sleep(20);
    const half = { ...WHOLE, endLayer: 2, hasHead: false };
    await coordinator.order(peer, 2, { shard: half });
    await quickClock.sleep(200);
    expect(peer.view()).toMatchObject({ state: "loading", endLayer: 2 });
    for (const { resolve } of gates) resolve();
    expect(await coordinator.next(peer, "ready")).toMatchObject({ epoch: 2 });
    expect(host.stage?.shard).toEqual(half);
    expect(host.loads).toHaveLength(1);
    expect(coordinator.heard.get(peer.view().peerId)).toEqual([]);
  });

  test("the same shard for another epoch is there at once: nothing is read", async () => {
    const { coordinator, peer, host } = await meet();
    await coordinator.order(peer, 1);
    await coordinator.next(peer, "ready");
    const { stage } = host;
    const { numReads } = coordinator;
    expect(numReads).toBeGreaterThan(3);
    await coordinator.order(peer, 2);
    expect(await coordinator.next(peer, "ready")).toMatchObject({ epoch: 2 });
    expect(host.stage).toBe(stage);
    expect(stage?.isClosed).toBe(false);
    expect(coordinator.numReads).toBe(numReads);
    await coordinator.order(peer, 3, { useF16Kv: true });
    await coordinator.next(peer, "ready");
    expect(stage?.isClosed).toBe(true);
    expect(host.loads).toHaveLength(2);
  });

  test("unload frees the shard, and says why", async () => {
    const { coordinator, peer, host } = await meet();
    await coordinator.order(peer, 1);
    await coordinator.next(peer, "ready");
    coordinator.tell(peer, { type: "unload", reason: "Others hold its layers now" });
    await untilState(peer, "waiting");
    while (host.stage?.isClosed !== true) await quickClock.sleep(20);
    expect(peer.view()).toMatchObject({
      ...{ note: "Others hold its layers now", startLayer: null, load: null },
    });
  });

  test("an order right behind an unload gets a stage of its own", async () => {
    const { coordinator, peer, host } = await meet();
    await coordinator.order(peer, 1);
    await coordinator.next(peer, "ready");
    const first = host.stage;
    coordinator.tell(peer, { type: "unload", reason: "Others hold its layers now" });
    await coordinator.order(peer, 2);
    expect(await coordinator.next(peer, "ready")).toMatchObject({ epoch: 2 });
    expect([first?.isClosed, host.stage?.isClosed]).toEqual([true, false]);
  });

  test("a list of tensors that is damaged fails the load, and the next order is followed", async () => {
    let bytes: Uint8Array | null = new TextEncoder().encode("{".padEnd(4_096));
    const { coordinator, peer } = await meet({}, {
      readFile: () => bytes ? Promise.resolve(bytes) : undefined!,
    });
    for (const damaged of ["{ ", "{}", "null"]) {
      bytes = new TextEncoder().encode(damaged);
      await coordinator.order(peer, 1, { manifestBytes: bytes.length });
      expect(await coordinator.next(peer, "load-failed")).toEqual({
        ...{ type: "load-failed", epoch: 1 },
        reason: "The coordinator's list of tensors is damaged",
        ...{ isOutOfMemory: false, loadedBytes: 0 },
      });
    }
    expect(peer.view()).toMatchObject({ state: "waiting", startLayer: null });
    bytes = null;
    await coordinator.order(peer, 2);
    await coordinator.next(peer, "ready");
  });

  test("layers that take more than what is lent are refused before a tensor is read", async () => {
    const { coordinator, peer, host } = await meet({ memoryBytes: 500_000 });
    await coordinator.order(peer, 1);
    const { reason, isOutOfMemory } = await coordinator.next(peer, "load-failed");
    expect(reason).toMatch(/^Layers \[0, 3\) take \d+ bytes of memory, and 500000 are lent$/);
    expect(isOutOfMemory).toBe(true);
    expect(host.loads).toEqual([]);
    expect(coordinator.numReads).toBe(1);
  });

  test("a device that is full says so, and holds nothing", async () => {
    const { coordinator, peer, host } = await meet({
      host: {
        onLoad: () => {
          throw new GpuMemoryError('Cannot allocate 1 GiB of GPU memory for "keys of layer 0"');
        },
      },
    });
    await coordinator.order(peer, 1);
    expect(await coordinator.next(peer, "load-failed")).toMatchObject({
      reason: 'Cannot allocate 1 GiB of GPU memory for "keys of layer 0"',
      ...{ isOutOfMemory: true, loadedBytes: 0 },
    });
    expect(host.stage).toBeNull();
    expect(peer.view()).toMatchObject({ state: "waiting", startLayer: null });
  });

  test("a file that the coordinator does not give fails the load with its reason", async () => {
    const { coordinator, peer } = await meet({}, {
      readFile: () => Promise.reject(new Error("No such file")),
    });
    await coordinator.order(peer, 1);
    expect((await coordinator.next(peer, "load-failed")).reason).toBe(
      "The coordinator sent no weights: No such file",
    );
  });

  test("a neighbour that never comes fails the load; the shard is kept for the next order", async () => {
    const { coordinator, peer, host } = await meet();
    await coordinator.order(peer, 1, { previous: "f".repeat(32) });
    expect((await coordinator.next(peer, "load-failed")).reason).toBe(
      `Peer ${"f".repeat(32)} did not connect within 30000 ms`,
    );
    const { numReads } = coordinator;
    await coordinator.order(peer, 2);
    await coordinator.next(peer, "ready");
    expect(host.loads).toHaveLength(1);
    expect(coordinator.numReads).toBe(numReads);
  });

  test("a newer order does not wait for the neighbour of an older one", async () => {
    const { coordinator, peer } = await meet();
    await coordinator.order(peer, 1, { next: "f".repeat(32) });
    while (peer.view().load === null) await quickClock.sleep(20);
    await coordinator.order(peer, 2);
    expect(await coordinator.next(peer, "ready")).toMatchObject({ epoch: 2 });
  });

  test("neighbours meet, and a stage tells when its neighbour is lost", async () => {
    const { net, coordinator, peer: first } = await meet();
    const { peer: second, mesh } = join(net);
    await coordinator.next(second, "join");
    const [a, b] = [first, second].map((peer) => peer.view().peerId);
    const [front, back] = [
      { ...WHOLE, endLayer: 2, hasHead: false },
      { ...WHOLE, startLayer: 2, hasEmbedding: false },
    ];
    await coordinator.order(first, 4, { shard: front, next: b! });
    await coordinator.order(second, 4, { shard: back, previous: a! });
    await Promise.all([first, second].map((peer) => coordinator.next(peer, "ready")));
    mesh.link(a!)!.close("Network changed");
    for (const peer of [first, second]) {
      const { epoch, reason } = await coordinator.next(peer, "stage-lost");
      expect(epoch).toBe(4);
      expect(reason).toMatch(/^[0-9a-f]{32}: Network changed$/);
    }
  });
});

describe("the owner", () => {
  test("pauses while layers are loaded: they are given up, and no order is followed", async () => {
    const gate = Promise.withResolvers<void>();
    const { coordinator, peer, host } = await meet({ host: { onLoad: () => gate.promise } });
    await coordinator.order(peer, 1);
    await untilState(peer, "loading");
    const paused = peer.pause();
    gate.resolve();
    await paused;
    await coordinator.next(peer, "pause");
    expect(peer.view()).toMatchObject({ state: "paused", startLayer: null });
    // As if it had been under way.
    await coordinator.order(peer, 2);
    await quickClock.sleep(500);
    expect(peer.view()).toMatchObject({ state: "paused", startLayer: null });
    expect(host.loads).toEqual([]);
    expect(coordinator.heard.get(peer.view().peerId)).toEqual([]);
    peer.resume();
    await coordinator.next(peer, "resume");
    await coordinator.order(peer, 3);
    expect(await coordinator.next(peer, "ready")).toMatchObject({ epoch: 3 });
  });

  test("who paused is paused for the next coordinator, too", async () => {
    const { net, coordinator, peer } = await meet();
    await peer.pause();
    coordinator.mesh.close("Stopped by its owner");
    const next = openCoordinator(net);
    expect(await next.next(peer, "join")).toMatchObject({ isPaused: true });
  });

  test("leaves while layers are loaded: nothing stays, and leaving again does nothing", async () => {
    const gate = Promise.withResolvers<void>();
    const { coordinator, peer, host, mesh } = await meet({ host: { onLoad: () => gate.promise } });
    await coordinator.order(peer, 1);
    await untilState(peer, "loading");
    const { peerId } = peer.view();
    const left = peer.leave("Stopped by its owner");
    gate.resolve();
    await left;
    expect(host.stage).toBe(null);
    expect(mesh.links).toEqual([]);
    await settle();
    await settle();
    expect(coordinator.mesh.link(peerId)).toBe(null);
    await peer.leave("Once more");
    expect(peer.view()).toMatchObject({ state: "left", note: "Stopped by its owner" });
  });

  test("loses the device: the peer leaves with the reason", async () => {
    const { coordinator, peer, host } = await meet();
    await coordinator.order(peer, 1);
    await coordinator.next(peer, "ready");
    host.lose(new Error("GPU device lost (unknown): watchdog"));
    await untilState(peer, "left");
    expect(peer.view().note).toBe("GPU device lost (unknown): watchdog");
    while (host.stage?.isClosed !== true) await quickClock.sleep(20);
  });

  test("who has left stays away, whoever calls", async () => {
    const net = openNet();
    const { peer } = join(net);
    await peer.leave("Stopped by its owner");
    const coordinator = openCoordinator(net);
    coordinator.mesh.announce("coordinator");
    await quickClock.sleep(1_000);
    expect(coordinator.mesh.links).toEqual([]);
    expect(peer.view()).toMatchObject(
      { state: "left" } satisfies Partial<ReturnType<Peer["view"]>>,
    );
  });
});
