import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { memoryLinkPair } from "../../src/mesh/memory_link.ts";
import { Mesh } from "../../src/mesh/mesh.ts";
import type { RoomListener } from "../../src/mesh/room.ts";
import { quickClock } from "../cluster/quick_clock.ts";
import { settle } from "../pipeline/hash_chain.ts";
import { type SignalMember, SignalNet } from "./signal_net.ts";

const OFFER = { type: "offer", sdp: "0" };

/** Both ends have one open link to each other, and it is the same one. */
async function expectOneLink(a: SignalMember, b: SignalMember): Promise<void> {
  const [atA, atB] = [a.mesh.link(b.mesh.peerId), b.mesh.link(a.mesh.peerId)];
  expect([atA?.closedReason, atB?.closedReason]).toEqual([null, null]);
  const heard: unknown[] = [];
  atB!.listen({ onControl: (message) => heard.push(message) });
  atA!.sendControl("over this wire");
  await settle();
  await settle();
  expect(heard).toEqual(["over this wire"]);
  expect(a.mesh.links).toEqual([atA]);
  expect(b.mesh.links).toEqual([atB]);
}

describe("connect()", () => {
  test("dials once for all who ask, then gives the open link", async () => {
    const net = new SignalNet();
    const [a, b] = [net.join("a"), net.join("b")];
    const asked = [1, 2, 3].map(() => a.mesh.connect(b.mesh.peerId));
    await net.deliverAll();
    const [link, ...others] = await Promise.all(asked);
    expect(others).toEqual([link, link]);
    expect(await a.mesh.connect(b.mesh.peerId)).toBe(link);
    expect(a.dials).toEqual([{ peerId: b.mesh.peerId, isInitiator: true }]);
    expect(b.dials).toEqual([{ peerId: a.mesh.peerId, isInitiator: false }]);
    expect([a.links.length, b.links.length]).toEqual([1, 1]);
    await expectOneLink(a, b);
  });

  test("waits for the other side's attempt where that is under way", async () => {
    const net = new SignalNet();
    const [a, b] = [net.join("a"), net.join("b", { isMute: true })];
    b.say(a.mesh.peerId, { type: "signal", dialId: "x", signal: OFFER });
    net.pairs.push(memoryLinkPair({ clock: quickClock, a: b.mesh.peerId, b: a.mesh.peerId }));
    await net.deliver();
    const link = await a.mesh.connect(b.mesh.peerId);
    expect(link).toBe(a.links[0]);
    expect(a.dials).toEqual([{ peerId: b.mesh.peerId, isInitiator: false }]);
  });

  test("tells a refusal, and may be tried again", async () => {
    const net = new SignalNet();
    const [a, b] = [net.join("a"), net.join("b")];
    const refused = a.mesh.connect(b.mesh.peerId);
    await settle();
    const { dialId } = net.letters.splice(0)[0]!.message as { dialId: string };
    const outcome = expect(refused).rejects.toThrow("Not today");
    net.join("c").say(a.mesh.peerId, { type: "refuse", dialId, reason: "Forged" });
    await net.deliver();
    b.say(a.mesh.peerId, { type: "refuse", dialId, reason: "Not today" });
    await net.deliver();
    await outcome;
    const again = a.mesh.connect(b.mesh.peerId);
    await net.deliverAll();
    expect((await again).closedReason).toBe(null);
  });
});

describe("two who dial each other at once", () => {
  test("end with one link, the same on both sides, in whatever order messages come", () =>
    fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(fc.constantFrom("a", "b", "deliver"), { maxLength: 8 }),
        fc.infiniteStream(fc.nat()),
        async (isSwapped, actions, choices) => {
          const net = new SignalNet();
          const [a, b] = [net.join(isSwapped ? "b" : "a"), net.join(isSwapped ? "a" : "b")];
          const asked = [a.mesh.connect(b.mesh.peerId)];
          for (const action of [...actions, "b"]) {
            await settle();
            if (action === "a") asked.push(a.mesh.connect(b.mesh.peerId));
            if (action === "b") asked.push(b.mesh.connect(a.mesh.peerId));
            if (action === "deliver") await net.deliver(choices.next().value!);
          }
          while (await net.deliver(choices.next().value!));
          const links = await Promise.all(asked);
          await expectOneLink(a, b);
          for (const link of links) expect(link.closedReason).toBe(null);
          expect([a.links.length, b.links.length]).toEqual([1, 1]);
          a.mesh.close("The test is over");
          b.mesh.close("The test is over");
        },
      ),
      { numRuns: 200 },
    ));

  test("the one with the lower id connects", async () => {
    const net = new SignalNet();
    const [a, b] = [net.join("a"), net.join("b")];
    const asked = [b.mesh.connect(a.mesh.peerId), a.mesh.connect(b.mesh.peerId)];
    await net.deliverAll();
    const [atB, atA] = await Promise.all(asked);
    expect(atA).toBe(a.links[0]);
    expect(atB).toBe(b.links[0]);
    expect(a.dials).toEqual([{ peerId: b.mesh.peerId, isInitiator: true }]);
    expect(b.dials.at(-1)).toEqual({ peerId: a.mesh.peerId, isInitiator: false });
  });
});

describe("answering", () => {
  test("a signal that starts nothing is passed over: late ones, and those of forgotten attempts", async () => {
    const net = new SignalNet();
    const [a, b] = [net.join("a"), net.join("b")];
    for (const signal of [{ type: "answer", sdp: "" }, { type: "candidate" }, null, 7, "offer"]) {
      b.say(a.mesh.peerId, { type: "signal", dialId: "gone", signal });
    }
    await net.deliverAll();
    expect(a.dials).toEqual([]);
  });

  test("signals that come before anybody listens are kept, so many and no more", async () => {
    const net = new SignalNet();
    const heard: unknown[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const b = net.join("b");
    const peerId = "a".padEnd(32, "0");
    const listeners: RoomListener[] = [];
    const mesh = new Mesh({
      clock: quickClock,
      room: {
        ...{ peerId, isConnected: true, send: () => {}, close: () => {} },
        listen: (listener) => {
          listeners.push(listener);
          return () => {};
        },
      },
      dial: async ({ exchange }) => {
        await promise;
        exchange.listen((signal) => heard.push(signal));
        throw new Error("That is all");
      },
    });
    const from = b.mesh.peerId;
    listeners[0]?.onMessage?.({ from, message: { type: "signal", dialId: "1", signal: OFFER } });
    for (let i = 0; i < 200; i++) {
      listeners[0]?.onMessage?.({ from, message: { type: "signal", dialId: "1", signal: i } });
    }
    resolve();
    await settle();
    expect(heard).toEqual([OFFER, ...Array.from({ length: 63 }, (_, i) => i)]);
    mesh.close("The test is over");
  });

  test("is refused beyond a limit, and one peer takes one place however often it dials", async () => {
    const net = new SignalNet();
    const a = net.join("f", { isMute: true });
    const dial = (name: string, dialId: string) =>
      net.join(name).say(a.mesh.peerId, { type: "signal", dialId, signal: OFFER });
    for (let i = 0; i < 100; i++) dial("0", `again ${i}`);
    for (let i = 1; i < 64; i++) dial(`${i}x`, "first");
    await net.deliverAll();
    expect(net.letters).toEqual([]);
    net.join("straggler").say(a.mesh.peerId, { type: "signal", dialId: "last", signal: OFFER });
    await net.deliver();
    expect(net.letters).toEqual([{
      from: a.mesh.peerId,
      to: "straggler".padEnd(32, "0"),
      message: {
        type: "refuse",
        dialId: "last",
        reason: "64 peers are connecting already: try again",
      },
    }]);
  });

  test("nobody can take over an attempt by its dial id", async () => {
    const net = new SignalNet();
    const [a, b, c] = [net.join("a"), net.join("b"), net.join("c")];
    const dialled = a.mesh.connect(b.mesh.peerId);
    await settle();
    const { dialId } = net.letters[0]!.message as { dialId: string };
    net.pairs.push(memoryLinkPair({ clock: quickClock, a: c.mesh.peerId, b: a.mesh.peerId }));
    c.say(a.mesh.peerId, { type: "signal", dialId, signal: { type: "offer", sdp: "1" } });
    await net.deliver(1);
    await net.deliverAll();
    expect((await dialled).peerId).toBe(b.mesh.peerId);
    await settle();
    const ends = [a.mesh.link(b.mesh.peerId), b.mesh.link(a.mesh.peerId)];
    expect(ends.map((link) => link?.closedReason)).toEqual([null, null]);
  });

  test("a peer that lost its link and dials again gets a new one in place of the old", async () => {
    const net = new SignalNet();
    const [a, b] = [net.join("a"), net.join("b")];
    const first = a.mesh.connect(b.mesh.peerId);
    await net.deliverAll();
    await first;
    // Only a's end is closed: the goodbye is lost.
    net.pairs[0]!.isCut = true;
    a.mesh.link(b.mesh.peerId)!.close("Network changed");
    const second = a.mesh.connect(b.mesh.peerId);
    await net.deliverAll();
    await second;
    await expectOneLink(a, b);
    expect(b.links[0]!.closedReason).toBe("A newer connection took its place");
  });
});

describe("adopt()", () => {
  test("replaces a link to the same peer and tells of closed ones", async () => {
    const net = new SignalNet();
    const a = net.join("a");
    const [one, two] = [1, 2].map(() => memoryLinkPair({ clock: quickClock, a: "b", b: "a" }));
    a.mesh.adopt(one!.b);
    a.mesh.adopt(two!.b);
    expect(one!.b.closedReason).toBe("A newer connection took its place");
    expect(a.mesh.links).toEqual([two!.b]);
    two!.a.close("Left");
    await settle();
    expect(a.mesh.links).toEqual([]);
    expect(a.notices).toEqual(["Link to b closed: Left"]);
  });

  test("takes no link that is closed already, and none once the mesh is closed", () => {
    const net = new SignalNet();
    const a = net.join("a");
    const [one, two] = [1, 2].map(() => memoryLinkPair({ clock: quickClock, a: "b", b: "a" }));
    one!.b.close("Left");
    a.mesh.adopt(one!.b);
    expect(a.mesh.links).toEqual([]);
    a.mesh.close("Stopped by its owner");
    a.mesh.adopt(two!.b);
    expect(a.mesh.links).toEqual([]);
    expect(two!.b.closedReason).toBe("Stopped by its owner");
    expect(a.links).toEqual([]);
  });
});

describe("waitForLink()", () => {
  const never = new AbortController().signal;

  test("resolves with the link that is there or comes", async () => {
    const net = new SignalNet();
    const [a, b] = [net.join("a"), net.join("b")];
    const waited = b.mesh.waitForLink(a.mesh.peerId, { withinMs: 10_000, signal: never });
    void a.mesh.connect(b.mesh.peerId);
    await net.deliverAll();
    const link = await waited;
    expect(link).toBe(b.links[0]);
    expect(await b.mesh.waitForLink(a.mesh.peerId, { withinMs: 1, signal: never })).toBe(link);
  });

  test("ends after its time, with its signal, and with the mesh", async () => {
    const { mesh } = new SignalNet().join("a");
    await expect(mesh.waitForLink("b", { withinMs: 200, signal: never })).rejects.toThrow(
      "Peer b did not connect within 200 ms",
    );
    const giveUp = new AbortController();
    const waits = [giveUp.signal, never].map((signal) =>
      mesh.waitForLink("b", { withinMs: 1_000_000, signal })
    );
    giveUp.abort(new Error("A newer order came"));
    await expect(waits[0]).rejects.toThrow("A newer order came");
    mesh.close("Left");
    await expect(waits[1]).rejects.toThrow("Left");
  });
});

test("close() ends attempts, says goodbye on all links and hears nothing more", async () => {
  const net = new SignalNet();
  const [a, b, c] = [net.join("a"), net.join("b"), net.join("c", { isMute: true })];
  void a.mesh.connect(b.mesh.peerId);
  await net.deliverAll();
  const dialled = a.mesh.connect(c.mesh.peerId);
  await settle();
  a.mesh.close("Stopped by its owner");
  await expect(dialled).rejects.toThrow("Stopped by its owner");
  await settle();
  expect(b.mesh.links).toEqual([]);
  expect(b.notices).toEqual([`Link to ${a.mesh.peerId} closed: Stopped by its owner`]);
  b.say(a.mesh.peerId, { type: "signal", dialId: "late", signal: OFFER });
  const numDials = a.dials.length;
  await net.deliverAll();
  expect(a.dials).toHaveLength(numDials);
});

test("announcements reach everybody else with their role", async () => {
  const net = new SignalNet();
  const [a, b, c] = [net.join("a"), net.join("b"), net.join("c")];
  const heard: unknown[] = [];
  for (const { mesh } of [a, b, c]) {
    mesh.listen({ onAnnounce: (...announcement) => void heard.push(announcement) });
  }
  a.mesh.announce("coordinator");
  await net.deliverAll();
  expect(heard).toEqual([[a.mesh.peerId, "coordinator"], [a.mesh.peerId, "coordinator"]]);
});
