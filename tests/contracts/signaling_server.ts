/** What members of a room see on every signaling server. Call with a way to start one. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createIdentity } from "../../src/mesh/identity.ts";
import type { RoomMessage } from "../../src/mesh/room.ts";
import { deriveRoomKeys } from "../../src/mesh/room_keys.ts";
import type { OpenTextSocket } from "../../src/platform/platform.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";
import { type Member, newLink, newMember } from "../mesh/room_member.ts";
import { until } from "../server/clocks.ts";

/** A server that runs. */
export interface SignalingServerUnderTest {
  readonly url: string;
  readonly openSocket: OpenTextSocket;
  /** Stops the server, cutting all connections. */
  stop(): Promise<void>;
  /** Starts it again at the same URL. */
  start(): Promise<void>;
}

export function signalingServerContract(
  name: string,
  startServer: () => Promise<SignalingServerUnderTest>,
): void {
  describe(`${name} as a signaling server`, () => {
    let server: SignalingServerUnderTest;
    const members: Member[] = [];
    beforeAll(async () => {
      server = await startServer();
    });
    afterEach(() => members.splice(0).forEach(({ room }) => room.close()));
    afterAll(() => server.stop());

    it("carries announcements to everyone, signals to one, in order", async () => {
      const link = newLink(server.url);
      const [a, b, c] = [await join(link), await join(link), await join(link)];
      a.room.send(null, { type: "announce", role: "coordinator" });
      for (const member of [b, c]) {
        expect(await member.hears(1)).toEqual([
          { from: a.room.peerId, message: { type: "announce", role: "coordinator" } },
        ]);
      }
      const signals = Array.from({ length: 30 }, (_, i) => signal(i));
      for (const message of signals) b.room.send(a.room.peerId, message);
      expect(await a.hears(30))
        .toEqual(signals.map((message) => ({ from: b.room.peerId, message })));
      a.room.send(b.room.peerId, { type: "refuse", dialId: "dial", reason: "Full" });
      a.room.send(null, { type: "announce", role: "coordinator" });
      expect(await b.hears(3)).toHaveLength(3);
      expect(await c.hears(2)).toHaveLength(2);
      expect([a, b, c].map(({ messages }) => messages.length)).toEqual([30, 3, 2]);
      expect([a, b, c].flatMap(({ refused, disconnects }) => [...refused, ...disconnects]))
        .toEqual([]);
    });

    it("tells rooms apart", async () => {
      const [linkA, linkB] = [newLink(server.url), newLink(server.url)];
      const [a1, a2, b1, b2] = [
        ...[await join(linkA), await join(linkA), await join(linkB), await join(linkB)],
      ];
      a1!.room.send(null, signal(1));
      b1!.room.send(null, signal(2));
      expect((await a2!.hears(1)).map(({ message }) => message)).toEqual([signal(1)]);
      expect((await b2!.hears(1)).map(({ message }) => message)).toEqual([signal(2)]);
      expect([a1, a2, b1, b2].flatMap((member) => member!.refused)).toEqual([]);
    });

    it("lets nobody in with a wrong secret, and tells both sides", async () => {
      const link = newLink(server.url);
      const member = await join(link);
      const stranger = await join({ ...link, secret: newLink().secret });
      stranger.room.send(null, { type: "announce", role: "peer" });
      member.room.send(null, { type: "announce", role: "coordinator" });
      await until(() => member.refused.length + stranger.refused.length === 2, 5000);
      expect(member.refused[0]).toContain(`"${stranger.room.peerId}" refused: the secret of its`);
      expect(stranger.refused[0]).toContain(`"${member.room.peerId}" refused: the secret of its`);
      expect([...member.messages, ...stranger.messages]).toEqual([]);
    });

    it("may have an eavesdropper, who reads nothing and whose replays are refused", async () => {
      const link = newLink(server.url);
      const { topic } = await deriveRoomKeys(meshCrypto, link);
      const texts: string[] = [];
      const eavesdropper = await openSpy(topic, texts);
      const [a, b] = [await join(link), await join(link)];
      const message: RoomMessage = { type: "refuse", dialId: "d", reason: "secret words" };
      a.room.send(b.room.peerId, message);
      await b.hears(1);
      await until(() => texts.length === 1, 5000);
      expect(texts[0]).not.toMatch(/secret words|reason/);
      const { clients: _, ...recorded } = JSON.parse(texts[0]!);
      eavesdropper.send(JSON.stringify(recorded));
      eavesdropper.send(JSON.stringify({ ...recorded, to: null }));
      eavesdropper.send(JSON.stringify({ ...recorded, from: b.room.peerId, to: a.room.peerId }));
      eavesdropper.send(JSON.stringify({ type: "publish", topic, garbage: [] }));
      await until(() => b.refused.length === 3 && a.refused.length === 2, 5000);
      const garbage = "The signaling server sent what is not of its protocol";
      const changed = "the secret of its join link is another one, or it was changed on the way";
      expect(b.refused.map(whyRefused).sort())
        .toEqual([garbage, "it, or a later one, was seen before", changed]);
      expect(a.refused.map(whyRefused).sort()).toEqual([garbage, changed]);
      a.room.send(b.room.peerId, signal(9));
      expect((await b.hears(2)).map((received) => received.message)).toEqual([message, signal(9)]);
      expect(a.messages).toEqual([]);
      eavesdropper.close();
    });

    it("is found again after a restart, and members meet as before", async () => {
      const link = newLink(server.url);
      const [a, b] = [await join(link), await join(link)];
      a.room.send(b.room.peerId, signal(1));
      await b.hears(1);
      await server.stop();
      await until(() => a.disconnects.length > 0 && b.disconnects.length > 0, 5000);
      expect([a.room.isConnected, b.room.isConnected]).toEqual([false, false]);
      a.room.send(b.room.peerId, signal(2));
      await server.start();
      for (const { clock } of [a, b]) clock.advance(500);
      await Promise.all([a.connects(2), b.connects(2)]);
      a.room.send(b.room.peerId, signal(3));
      b.room.send(a.room.peerId, signal(4));
      await a.hears(1);
      expect((await b.hears(2)).map(({ message }) => message)).toEqual([signal(1), signal(3)]);
      expect([...a.refused, ...b.refused]).toEqual([]);
    });

    async function join(link: ReturnType<typeof newLink>): Promise<Member> {
      const identity = await createIdentity(meshCrypto);
      const member = await newMember({ link, identity, openSocket: server.openSocket });
      members.push(member);
      await member.connects();
      return member;
    }

    /** A client that has the topic, as a server has it, and not the secret. */
    function openSpy(topic: string, texts: string[]): Promise<ReturnType<OpenTextSocket>> {
      return new Promise((resolve, reject) => {
        const socket = server.openSocket(server.url, {
          onOpen() {
            socket.send(JSON.stringify({ type: "subscribe", topics: [topic] }));
            socket.send('{"type":"ping"}');
          },
          onMessage: (text) => text.includes("pong") ? resolve(socket) : texts.push(text),
          onClose: reject,
        });
      });
    }
  });
}

function signal(number: number): RoomMessage {
  return { type: "signal", dialId: "dial", signal: { number } };
}

function whyRefused(reason: string): string {
  return reason.replace(/^Message of ".*" refused: /, "");
}
