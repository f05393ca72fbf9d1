import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { SignalingServer } from "../../signaling/server.ts";
import { ManualClock } from "../server/clocks.ts";
import { connectFake, type FakeClient, joinFake } from "./fake_socket.ts";

const servers: SignalingServer[] = [];

function makeServer(): SignalingServer {
  const server = new SignalingServer({ clock: new ManualClock() });
  servers.push(server);
  return server;
}

afterEach(() => {
  for (const server of servers.splice(0)) server.checkIntegrity();
});

describe("the protocol", () => {
  it("echoes what is published to every subscriber and its sender, with their number", () => {
    const server = makeServer();
    const [ada, bob] = [joinFake(server, "room"), joinFake(server, "room", "other")];
    const eve = joinFake(server, "elsewhere");
    ada.say({ type: "publish", topic: "room", data: { from: "ada", nested: [1, null, "ü"] } });
    const echo = {
      ...{ type: "publish", topic: "room", clients: 2 },
      data: { from: "ada", nested: [1, null, "ü"] },
    };
    expect(ada.socket.sent).toEqual([echo]);
    expect(bob.socket.sent).toEqual([echo]);
    expect(eve.socket.sent).toEqual([]);
    expect(server.counts()).toMatchObject({
      ...{ connections: 3, topics: 3, received: 4, published: 1, delivered: 2 },
    });
  });

  it("keeps fields that it does not know, but for a number of clients that was made up", () => {
    const ada = joinFake(makeServer(), "room");
    ada.connection.receive(
      '{"clients":99,"type":"publish","topic":"room","data":"x","__proto__":{"polluted":1}}',
    );
    const [echo] = ada.socket.sent as Record<string, unknown>[];
    expect(Object.entries(echo!)).toContainEqual(["clients", 1]);
    expect(Object.hasOwn(echo!, "__proto__")).toBe(true);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it("passes on 32 objects in objects, which is as deep as any may be", () => {
    const ada = joinFake(makeServer(), "room");
    const data = `${"[".repeat(31)}${"]".repeat(31)}`;
    ada.connection.receive(`{"type":"publish","topic":"room","data":${data}}`);
    expect(ada.socket.sent).toEqual([
      { type: "publish", topic: "room", data: JSON.parse(data), clients: 1 },
    ]);
  });

  it("answers a ping with a pong, to nobody else", () => {
    const server = makeServer();
    const [ada, bob] = [joinFake(server, "room"), joinFake(server, "room")];
    ada.say({ type: "ping" });
    expect(ada.socket.sent).toEqual([{ type: "pong" }]);
    expect(bob.socket.sent).toEqual([]);
  });

  it("frees a topic as soon as its last subscriber leaves or hangs up", () => {
    const server = makeServer();
    const [ada, bob] = [joinFake(server, "a", "b"), joinFake(server, "b", "c")];
    expect(server.counts().topics).toBe(3);
    ada.say({ type: "unsubscribe", topics: ["a", "b", "never"] });
    expect(server.counts().topics).toBe(2);
    bob.connection.closed();
    expect(server.counts()).toMatchObject({ topics: 0, connections: 1 });
    ada.say({ type: "publish", topic: "b" });
    expect(ada.socket.sent).toEqual([]);
  });

  it("subscribes once however often it is told to", () => {
    const server = makeServer();
    const ada = joinFake(server, "room", "room");
    ada.say({ type: "subscribe", topics: ["room"] });
    ada.say({ type: "publish", topic: "room" });
    expect(ada.socket.sent).toEqual([{ type: "publish", topic: "room", clients: 1 }]);
  });

  it("accepts a client that subscribes to nothing, as y-webrtc's does without rooms", () => {
    const ada = joinFake(makeServer());
    expect(ada.socket.closure).toBeNull();
  });

  it("ignores what a closed connection still says", () => {
    const server = makeServer();
    const [ada, bob] = [joinFake(server, "room"), joinFake(server, "room")];
    ada.connection.closed();
    ada.connection.closed();
    ada.say({ type: "publish", topic: "room" });
    ada.connection.receivePong();
    expect(ada.connection.receivePing()).toBe(false);
    expect(bob.socket.sent).toEqual([]);
    expect(server.counts()).toMatchObject({ connections: 1, received: 2 });
  });
});

describe("a message that is none", () => {
  const malformed = [
    ...["", "{", "[]", "null", "5", '"subscribe"', "{}", '{"type":"shout"}', '{"type":5}'],
    ...['{"type":"subscribe"}', '{"type":"subscribe","topics":5}'],
    ...['{"type":"subscribe","topics":["a",5]}', '{"type":"unsubscribe","topics":{"0":"a"}}'],
    ...[
      '{"type":"publish"}',
      '{"type":"publish","topic":["room"]}',
      '{"type":"publish","topic":1}',
    ],
    `{"type":"publish","topic":"room","data":${"[".repeat(30_000)}${"]".repeat(30_000)}}`,
    `{"type":"publish","topic":"room","data":${"[".repeat(32)}${"]".repeat(32)}}`,
  ];

  it.each(malformed.map((text) => [`${text.slice(0, 60)} (${text.length})`, text]))(
    "is counted and ends its connection: %s",
    (_, text) => {
      const server = makeServer();
      const [ada, bob] = [joinFake(server, "room"), joinFake(server, "room")];
      ada.connection.receive(text);
      expect(ada.socket.closure?.code).toBe(1007);
      expect(ada.socket.closure?.reason).toContain("Send JSON text");
      expect(server.counts()).toMatchObject({ connections: 1, refused: { malformed: 1 } });
      bob.say({ type: "ping" });
      expect(bob.socket.sent).toEqual([{ type: "pong" }]);
    },
  );
});

it("holds only what its open connections subscribed to, whatever happens", () => {
  const topics = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 3 });
  const action = fc.oneof(
    fc.record({ type: fc.constant("connect" as const) }),
    fc.record({ type: fc.constant("close" as const), who: fc.nat(9) }),
    fc.record({ type: fc.constantFrom("subscribe", "unsubscribe"), who: fc.nat(9), topics }),
    fc.record({
      ...{ type: fc.constant("publish" as const), who: fc.nat(9) },
      topic: fc.constantFrom("a", "b", "c"),
    }),
    fc.record({ type: fc.constant("nonsense" as const), who: fc.nat(9) }),
  );
  fc.assert(fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
    const server = new SignalingServer({ clock: new ManualClock() });
    const clients: (FakeClient & { topics: Set<string> })[] = [];
    for (const action of actions) {
      if (action.type === "connect") {
        clients.push({ ...connectFake(server), topics: new Set() });
        continue;
      }
      const client = "who" in action ? clients[action.who] : undefined;
      if (!client?.connection.isOpen) continue;
      if (action.type === "close") client.connection.closed();
      else if ("topics" in action) {
        for (const topic of action.topics) {
          if (action.type === "subscribe") client.topics.add(topic);
          else client.topics.delete(topic);
        }
        client.say(action);
      } else if ("topic" in action) {
        const members = clients.filter(({ connection, topics }) =>
          connection.isOpen && topics.has(action.topic)
        );
        const before = members.map(({ socket }) => socket.sent.length);
        client.say(action);
        const expected = client.topics.has(action.topic) ? 1 : 0;
        expect(members.map(({ socket }, i) => socket.sent.length - before[i]!))
          .toEqual(members.map(() => expected));
        if (expected) expect(client.socket.sent.at(-1)).toMatchObject({ clients: members.length });
      } else client.connection.receive("nonsense");
      server.checkIntegrity();
    }
    const open = clients.filter(({ connection }) => connection.isOpen);
    expect(server.counts()).toMatchObject({
      connections: open.length,
      topics: new Set(open.flatMap(({ topics }) => [...topics])).size,
    });
  }));
});
