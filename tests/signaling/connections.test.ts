import { afterEach, describe, expect, it } from "vitest";
import { realClock } from "../server/clocks.ts";
import { connectFake, joinFake } from "./fake_socket.ts";
import { runServer, stopServers } from "./running_server.ts";

afterEach(stopServers);

describe("of connections", () => {
  it("20 an address, and again when one is gone; others are not concerned", () => {
    const { server } = runServer();
    const visitor = { address: "192.0.2.7", origin: null, host: null };
    const clients = Array.from({ length: 20 }, () => {
      expect(server.refusalOf(visitor)).toBeNull();
      return connectFake(server, visitor.address);
    });
    expect(server.refusalOf(visitor)).toBe("address");
    expect(server.refusalOf({ ...visitor, address: "::ffff:192.0.2.7" })).toBe("address");
    expect(server.refusalOf({ ...visitor, address: "192.0.2.8" })).toBeNull();
    clients[3]!.connection.closed();
    expect(server.refusalOf(visitor)).toBeNull();
    expect(server.counts().refused.address).toBe(2);
  });

  it("that were refused count until their sockets are gone", () => {
    const { server } = runServer({ connectionsPerAddress: 1 });
    const visitor = { address: "192.0.2.7", origin: null, host: null };
    const ada = connectFake(server, visitor.address);
    ada.socket.onClose = () => {};
    ada.connection.receive("x".repeat(70_000));
    expect(ada.socket.closure?.code).toBe(1009);
    expect(server.refusalOf(visitor)).toBe("address");
    ada.connection.closed();
    expect(server.refusalOf(visitor)).toBeNull();
  });

  it("that sent much count until they might send as much again", async () => {
    const { server, pass } = runServer({ connectionsPerAddress: 1 });
    const visitor = { address: "192.0.2.7", origin: null, host: null };
    const ada = connectFake(server, visitor.address);
    for (let i = 0; i < 100; i++) ada.say({ type: "ping" });
    ada.connection.closed();
    await pass(1980);
    expect(server.refusalOf(visitor)).toBe("address");
    await pass(20);
    expect(server.refusalOf(visitor)).toBeNull();
    const bob = connectFake(server, visitor.address);
    bob.say({ type: "ping" });
    bob.connection.closed();
    await pass(20);
    expect(server.refusalOf(visitor)).toBeNull();
  });

  it("10,000 in all", () => {
    const { server } = runServer();
    for (let i = 0; i < 10_000; i++) connectFake(server);
    const visitor = { address: "192.0.2.7", origin: null, host: null };
    expect(server.refusalOf(visitor)).toBe("full");
    expect(server.counts()).toMatchObject({ connections: 10_000, refused: { full: 1 } });
  });

  it("pages of the listed origins and of the server's own, programs without an origin", () => {
    const { server } = runServer({}, ["https://tessera.example", "self"]);
    const from = (origin: string | null) =>
      server.refusalOf({ address: "192.0.2.7", origin, host: "127.0.0.1:4444" });
    expect(from("https://tessera.example")).toBeNull();
    expect(from("http://127.0.0.1:4444")).toBeNull();
    expect(from(null)).toBeNull();
    const others = ["https://evil.example", "http://127.0.0.1:4445", "null", "", "self"];
    for (const origin of others) expect(from(origin), origin).toBe("origin");
    expect(server.counts().refused.origin).toBe(others.length);
  });

  it("pages of any origin when none is listed", () => {
    const { server } = runServer();
    expect(server.refusalOf({ address: "::1", origin: "https://a.example", host: "b" })).toBeNull();
  });
});

describe("of time", () => {
  it("a client that says nothing for 10 s is closed, one that said something is not", async () => {
    const { server, pass } = runServer();
    const [silent, ada] = [connectFake(server), joinFake(server, "room")];
    await pass(9500);
    expect(silent.socket.closure).toBeNull();
    await pass(1000);
    expect(silent.socket.closure?.code).toBe(1008);
    expect(ada.socket.closure).toBeNull();
    expect(server.counts()).toMatchObject({ connections: 1, refused: { handshake: 1 } });
  });

  it("a ping each 30 s; who answers none until the next is closed", async () => {
    const { server, pass } = runServer();
    const [ada, gone] = [joinFake(server, "room"), joinFake(server, "room")];
    await pass(29_500);
    expect(ada.socket.numPings).toBe(0);
    await pass(1000);
    expect([ada.socket.numPings, gone.socket.numPings]).toEqual([1, 1]);
    ada.connection.receivePong();
    await pass(30_500);
    expect(ada.socket.closure).toBeNull();
    expect(ada.socket.numPings).toBe(2);
    expect(gone.socket.closure?.code).toBe(1008);
    expect(server.counts()).toMatchObject({ connections: 1, refused: { silent: 1 } });
  });
});

it("an end of the server says so to everyone, waits for their sockets, lets nobody in", async () => {
  const { server, stop } = runServer();
  const [ada, slow] = [joinFake(server, "room"), joinFake(server, "room")];
  slow.socket.onClose = () => {};
  let isClosed = false;
  const closing = stop().then(() => isClosed = true);
  await realClock.sleep(0);
  const closure = { code: 1001, reason: "The signaling server stops" };
  expect([ada.socket.closure, slow.socket.closure]).toEqual([closure, closure]);
  expect(server.refusalOf({ address: "192.0.2.7", origin: null, host: null })).toBe("full");
  expect(isClosed).toBe(false);
  slow.connection.closed();
  await closing;
});
