import { afterEach, describe, expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../signaling/limits.ts";
import { closuresUnder } from "../../signaling/refusal.ts";
import { connectFake, joinFake } from "./fake_socket.ts";
import { runServer, stopServers } from "./running_server.ts";

afterEach(stopServers);

describe("of a message", () => {
  it("64 KiB pass, one byte more ends the connection, also in letters of several bytes", () => {
    const { server } = runServer();
    const frame = (numBytes: number, letter = "x") => {
      const empty = '{"type":"publish","topic":"room","data":""}';
      const letterBytes = new TextEncoder().encode(letter).length;
      const numLetters = Math.floor((numBytes - empty.length) / letterBytes);
      const rest = "x".repeat(numBytes - empty.length - numLetters * letterBytes);
      return empty.replace('""', `"${letter.repeat(numLetters)}${rest}"`);
    };
    for (const letter of ["x", "ü", "語"]) {
      const ada = joinFake(server, "room");
      ada.connection.receive(frame(65_536, letter));
      expect(ada.socket.closure).toBeNull();
      expect(ada.socket.sent).toHaveLength(1);
      ada.connection.receive(frame(65_537, letter));
      expect(ada.socket.closure?.code).toBe(1009);
      expect(ada.socket.sent).toHaveLength(1);
    }
    expect(server.counts().refused.frame).toBe(3);
  });

  it("goes only to topics that its sender is subscribed to, else is dropped alone", () => {
    const { server } = runServer();
    const [ada, eve] = [joinFake(server, "room"), joinFake(server, "elsewhere")];
    eve.say({ type: "publish", topic: "room" });
    expect(ada.socket.sent).toEqual([]);
    expect(eve.socket.closure).toBeNull();
    expect(server.counts().refused.unsubscribed).toBe(1);
  });
});

describe("of topics", () => {
  it("64 a connection, counted after those that it left", () => {
    const { server } = runServer();
    const names = Array.from({ length: 65 }, (_, i) => `topic ${i}`);
    const ada = joinFake(server, ...names.slice(0, 64));
    ada.say({ type: "subscribe", topics: names.slice(0, 64) });
    ada.say({ type: "unsubscribe", topics: ["topic 0"] });
    ada.say({ type: "subscribe", topics: ["topic 64"] });
    expect(ada.socket.closure).toBeNull();
    ada.say({ type: "subscribe", topics: ["topic 0"] });
    expect(ada.socket.closure?.code).toBe(1008);
    expect(server.counts()).toMatchObject({ topics: 0, refused: { topics: 1 } });
  });

  it("names of 1 to 128 bytes", () => {
    const { server } = runServer();
    expect(joinFake(server, "x".repeat(128), "ü".repeat(64)).socket.closure).toBeNull();
    for (const name of ["", "x".repeat(129), "ü".repeat(65)]) {
      expect(joinFake(server, name).socket.closure?.code, name).toBe(1008);
    }
    expect(server.counts().refused.topic).toBe(3);
  });

  it("256 members each; the next may try later", () => {
    const { server } = runServer();
    const members = Array.from({ length: 256 }, () => joinFake(server, "room"));
    expect(joinFake(server, "room").socket.closure?.code).toBe(1013);
    members[0]!.connection.closed();
    expect(joinFake(server, "room").socket.closure).toBeNull();
    expect(server.counts()).toMatchObject({ connections: 256, refused: { members: 1 } });
  });
});

describe("of the rate", () => {
  it("100 messages pass at once, the next 100 wait for 2 s while the socket is not read", async () => {
    const { server, pass } = runServer();
    const ada = connectFake(server);
    for (let i = 0; i < 200; i++) ada.say({ type: "ping" });
    expect(ada.socket.sent).toHaveLength(100);
    expect(ada.socket.isPaused).toBe(true);
    await pass(1000);
    expect(ada.socket.sent).toHaveLength(150);
    await pass(1000);
    expect(ada.socket.sent).toHaveLength(200);
    expect(ada.socket.isPaused).toBe(false);
    expect(server.counts()).toMatchObject({ throttled: 100, refused: { rate: 0 } });
  });

  it("one more than may wait ends the connection", () => {
    const { server } = runServer();
    const ada = connectFake(server);
    for (let i = 0; i < 201; i++) ada.say({ type: "ping" });
    expect(ada.socket.closure?.code).toBe(1008);
    expect(ada.socket.sent).toHaveLength(100);
    expect(server.counts().refused.rate).toBe(1);
  });

  it("50 messages a second pass for ever, in their order", async () => {
    const { server, pass } = runServer();
    const ada = joinFake(server, "room");
    for (let i = 0; i < 500; i++) {
      ada.say({ type: "publish", topic: "room", data: i });
      await pass(20);
    }
    expect(ada.socket.sent.map((echo) => (echo as { data: number }).data))
      .toEqual(Array.from({ length: 500 }, (_, i) => i));
    expect(server.counts()).toMatchObject({ throttled: 0, delivered: 500 });
  });

  it("bytes count too: 1 MiB at once, then 256 KiB a second", async () => {
    const { server, pass } = runServer();
    const ada = joinFake(server, "room");
    const data = "x".repeat(64_000);
    for (let i = 0; i < 30; i++) ada.say({ type: "publish", topic: "room", data });
    expect(ada.socket.sent).toHaveLength(16);
    await pass(1000);
    expect(ada.socket.sent).toHaveLength(20);
    await pass(3000);
    expect(ada.socket.sent).toHaveLength(30);
  });

  it("what waited is forgotten when its connection ends", async () => {
    const { server, pass } = runServer();
    const [ada, bob] = [joinFake(server, "room"), joinFake(server, "room")];
    for (let i = 0; i < 150; i++) ada.say({ type: "publish", topic: "room" });
    expect(bob.socket.sent).toHaveLength(99);
    ada.connection.closed();
    await pass(1000);
    expect(bob.socket.sent).toHaveLength(99);
  });

  it("pings of the WebSocket count, and pongs that nobody asked for", () => {
    const { server } = runServer();
    const [ada, bob] = [joinFake(server), joinFake(server)];
    for (let i = 0; i < 99; i++) expect(ada.connection.receivePing()).toBe(true);
    expect(ada.connection.receivePing()).toBe(false);
    for (let i = 0; i < 100; i++) bob.connection.receivePong();
    expect(ada.socket.closure?.code).toBe(1008);
    expect(bob.socket.closure?.code).toBe(1008);
    expect(server.counts().refused.rate).toBe(2);
  });
});

it("a reader with more than 1 MiB waiting is dropped, the others get their message", () => {
  const { server } = runServer();
  const [ada, slow, bob] = ["ada", "slow", "bob"].map(() => joinFake(server, "room"));
  slow!.socket.bufferedBytes = 1024 * 1024;
  ada!.say({ type: "publish", topic: "room" });
  expect(slow!.socket.sent).toHaveLength(1);
  slow!.socket.bufferedBytes++;
  ada!.say({ type: "publish", topic: "room" });
  expect(slow!.socket.closure?.code).toBe(1013);
  expect(bob!.socket.sent).toHaveLength(2);
  expect(server.counts()).toMatchObject({ delivered: 5, refused: { slow: 1 } });
});

it("every reason fits in a close frame", () => {
  for (const { text } of Object.values(closuresUnder(DEFAULT_LIMITS))) {
    expect(new TextEncoder().encode(text).length).toBeLessThanOrEqual(123);
  }
});
