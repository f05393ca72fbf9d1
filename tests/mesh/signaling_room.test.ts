import { afterEach, describe, expect, it } from "vitest";
import { createIdentity, type Identity } from "../../src/mesh/identity.ts";
import type { RoomMessage } from "../../src/mesh/room.ts";
import type { JoinRoomOptions } from "../../src/mesh/signaling_room.ts";
import type { MeshCrypto } from "../../src/platform/platform.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";
import { until } from "../server/clocks.ts";
import { FakeHub } from "./fake_hub.ts";
import { type Member, newLink, newMember, SOME_DAY_MS } from "./room_member.ts";

const ANNOUNCE: RoomMessage = { type: "announce", role: "peer" };
const DAY_MS = 86_400_000;

const members: Member[] = [];
afterEach(() => members.splice(0).forEach(({ room }) => room.close()));

describe("a room on a server that tampers", () => {
  it("refuses messages that were passed on under another name or to another member", async () => {
    const { hub, join } = newRoom();
    const [a, b, c] = [await join(), await join(), await join()];
    hub.tamper = (message) => [
      { ...message, from: c.room.peerId },
      { ...message, to: c.room.peerId },
      { ...message, to: null },
      message,
    ];
    a.room.send(b.room.peerId, signal(1));
    expect(await b.hears(1)).toEqual([{ from: a.room.peerId, message: signal(1) }]);
    await until(() => c.refused.length === 2);
    expect([...b.refused, ...c.refused]).toHaveLength(4);
    for (const reason of [...b.refused, ...c.refused]) {
      expect(reason).toContain("changed on the way");
    }
    expect([...a.messages, ...a.refused, ...c.messages]).toEqual([]);
  });

  it("hears neither its own messages nor their reflection under another name", async () => {
    const { hub, join } = newRoom();
    const [a, b] = [await join(), await join()];
    hub.tamper = (message) => [message, { ...message, from: b.room.peerId, to: a.room.peerId }];
    a.room.send(null, ANNOUNCE);
    await b.hears(1);
    await until(() => a.refused.length === 1);
    expect(a.refused[0]).toMatch(/^Message of "[0-9a-f]{32}" refused: .*changed on the way$/);
    expect(a.messages).toEqual([]);
  });

  it("refuses doubles and what comes out of order", async () => {
    const { hub, join } = newRoom();
    const [a, b] = [await join(), await join()];
    hub.tamper = () => [];
    for (const number of [1, 2, 3]) a.room.send(null, signal(number));
    await until(() => hub.published.length === 3);
    for (const index of [0, 2, 1, 2, 0]) hub.deliver(hub.published[index]!);
    await until(() => b.refused.length === 3);
    expect(b.messages.map(({ message }) => message)).toEqual([signal(1), signal(3)]);
    expect(new Set(b.refused.map((reason) => reason.split(" refused: ")[1])))
      .toEqual(new Set(["it, or a later one, was seen before"]));
  });

  it("gets through a flood of junk, of which no more than 256 messages wait", async () => {
    const { hub, join } = newRoom();
    const [a, b] = [await join(), await join()];
    a.room.send(null, ANNOUNCE);
    await b.hears(1);
    const junk = { ...hub.published[0], from: "f".repeat(32) };
    for (let i = 0; i < 1000; i++) hub.deliver(junk);
    await until(() => b.refused.length === 1000);
    expect(b.refused.filter((reason) => reason.includes("too many wait"))).toHaveLength(744);
    a.room.send(null, signal(1));
    expect((await b.hears(2))[1]?.message).toEqual(signal(1));
  });
});

describe("a room whose server kept old messages", () => {
  it("refuses those to a member's earlier run, whatever the clocks say", async () => {
    const { hub, join } = newRoom();
    const identity = await createIdentity(meshCrypto);
    const [a, before] = [await join(), await join({ identity })];
    before.room.send(null, ANNOUNCE);
    await a.hears(1);
    a.room.send(before.room.peerId, signal(1));
    await before.hears(1);
    before.room.close();
    const after = await join({ identity });
    hub.deliver(hub.published[1]!);
    await until(() => after.refused.length === 1);
    expect(after.refused[0]).toContain("it is for an earlier run of this peer");
    expect(after.messages).toEqual([]);
  });

  it("refuses those of a member's earlier run, and takes those of its next", async () => {
    const { hub, join } = newRoom();
    const identity = await createIdentity(meshCrypto);
    const [a, before] = [await join(), await join({ identity })];
    for (const number of [1, 2]) before.room.send(null, signal(number));
    await a.hears(2);
    before.room.close();
    const after = await join({ identity, dateMs: () => SOME_DAY_MS + 1 });
    after.room.send(null, ANNOUNCE);
    expect((await a.hears(3))[2]).toEqual({ from: identity.peerId, message: ANNOUNCE });
    hub.deliver(hub.published[1]!);
    await until(() => a.refused.length === 1);
    expect(a.refused[0]).toContain("earlier run of its sender");
  });

  it("shows an announcement of an hour ago to nobody who has just come", async () => {
    const { hub, join } = newRoom();
    const a = await join();
    a.room.send(null, ANNOUNCE);
    await until(() => hub.published.length === 1);
    const late = await join({ dateMs: () => SOME_DAY_MS + 3_600_000 });
    hub.deliver(hub.published[0]!);
    await until(() => late.refused.length === 1);
    expect(late.refused[0]).toContain("made 60 minutes ago: set the clocks");
  });

  it("needs no clocks once two members have heard of each other", async () => {
    const { join } = newRoom();
    let aheadMs = 0;
    const a = await join();
    const b = await join({ dateMs: () => SOME_DAY_MS + aheadMs });
    a.room.send(null, ANNOUNCE);
    await b.hears(1);
    b.room.send(a.room.peerId, signal(1));
    await a.hears(1);
    aheadMs = DAY_MS;
    a.room.send(b.room.peerId, signal(2));
    b.room.send(a.room.peerId, signal(3));
    expect((await b.hears(2))[1]?.message).toEqual(signal(2));
    expect((await a.hears(2))[1]?.message).toEqual(signal(3));
  });
});

describe("a member of a room", () => {
  it("sends and hears in order, however long its cryptography takes", async () => {
    const { join } = newRoom();
    const [a, b] = [
      await join({ crypto: unsteadyCrypto() }),
      await join({ crypto: unsteadyCrypto() }),
    ];
    const signals = Array.from({ length: 20 }, (_, i) => signal(i));
    for (const message of signals) a.room.send(null, message);
    expect((await b.hears(20)).map(({ message }) => message)).toEqual(signals);
    expect(b.refused).toEqual([]);
  });

  it("is told of a message that is too long to be sent", async () => {
    const { hub, join } = newRoom();
    const a = await join();
    a.room.send(null, { type: "signal", dialId: "d", signal: "x".repeat(48 * 1024) });
    await until(() => a.refused.length === 1);
    expect(a.refused).toEqual(["Message to everyone not sent: it is too long for signaling"]);
    expect(hub.published).toEqual([]);
  });

  it("loses what it sends while the server is away, and is told when it comes and goes", async () => {
    const { hub, join } = newRoom();
    const [a, b] = [await join(), await join()];
    hub.stop();
    a.room.send(null, signal(1));
    await until(() => a.disconnects.length === 1);
    expect(a.disconnects).toEqual(["The server stops"]);
    a.room.send(null, signal(2));
    hub.isDown = false;
    for (const { clock } of [a, b]) clock.advance(500);
    await Promise.all([a.connects(2), b.connects(2)]);
    a.room.send(null, signal(3));
    expect((await b.hears(1)).map(({ message }) => message)).toEqual([signal(3)]);
  });

  it("that leaves has said what it said, and hears no more", async () => {
    const { hub, join } = newRoom();
    const [a, b] = [await join(), await join()];
    a.room.send(null, ANNOUNCE);
    a.room.close();
    expect(a.room.isConnected).toBe(false);
    a.room.send(null, signal(1));
    expect((await b.hears(1)).map(({ message }) => message)).toEqual([ANNOUNCE]);
    b.room.send(null, signal(2));
    await until(() => hub.published.length === 2);
    await until(() => a.clock.numSleepers === 0);
    expect(hub.dials).toHaveLength(2);
    expect([...a.messages, ...a.refused, ...a.disconnects]).toEqual([]);
  });

  it("that leaves before it was ever connected dials nobody", async () => {
    const { hub, join } = newRoom();
    hub.isMute = true;
    const joining = await newMember({ link: newLink(), openSocket: hub.openSocket });
    joining.room.close();
    hub.isMute = false;
    await join();
    expect(hub.dials).toHaveLength(1);
  });

  it("calls each listener until that one is removed", async () => {
    const { join } = newRoom();
    const [a, b] = [await join(), await join()];
    const heard: string[] = [];
    class Recorder {
      onMessage() {
        heard.push("first");
      }
    }
    const remove = b.room.listen(new Recorder());
    b.room.listen({ onMessage: () => heard.push("second") });
    a.room.send(null, ANNOUNCE);
    await b.hears(1);
    expect(heard).toEqual(["first", "second"]);
    remove();
    a.room.send(null, ANNOUNCE);
    await b.hears(2);
    expect(heard).toEqual(["first", "second", "second"]);
  });
});

function newRoom() {
  const hub = new FakeHub();
  const link = newLink();
  const join = async (options: Partial<JoinRoomOptions> & { identity?: Identity } = {}) => {
    const member = await newMember({ link, openSocket: hub.openSocket, ...options });
    members.push(member);
    await member.connects();
    return member;
  };
  return { hub, join };
}

function signal(number: number): RoomMessage {
  return { type: "signal", dialId: "dial", signal: { number } };
}

/** Cryptography whose later calls are often done before earlier ones. */
function unsteadyCrypto(): MeshCrypto {
  let numCalls = 0;
  const subtle = new Proxy(meshCrypto.subtle, {
    get: (target, name) => {
      const method = target[name as keyof SubtleCrypto] as (...args: unknown[]) => unknown;
      return async (...args: unknown[]) => {
        await new Promise((resolve) => setTimeout(resolve, ++numCalls * 7 % 3));
        return method.apply(target, args);
      };
    },
  });
  return { subtle, randomBytes: meshCrypto.randomBytes };
}
