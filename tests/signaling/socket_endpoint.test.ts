import { afterEach, describe, expect, it } from "vitest";
import type { SignalingLimits } from "../../signaling/limits.ts";
import { until } from "../server/clocks.ts";
import { MalformedFrames } from "./malformed_frames.ts";
import {
  frame,
  frameHeader,
  handshake,
  openRawSocket,
  RealClient,
  type RealServer,
  startRealServer,
  writeAll,
} from "./real_server.ts";

const servers: RealServer[] = [];

async function start(
  options: { limits?: Partial<SignalingLimits>; allowedOrigins?: string[]; path?: string } = {},
): Promise<RealServer> {
  const started = await startRealServer(options);
  servers.push(started);
  return started;
}

afterEach(async () => {
  for (const { server, close } of servers.splice(0)) {
    server.checkIntegrity();
    await close();
    expect(server.counts().connections).toBe(0);
  }
});

describe("over real sockets", () => {
  it("two clients in a room hear each other and themselves", async () => {
    const { url, server } = await start();
    const [ada, bob] = [await RealClient.open(url), await RealClient.open(url)];
    for (const client of [ada, bob]) {
      client.say({ type: "subscribe", topics: ["room"] });
      await client.settle();
    }
    ada.say({ type: "publish", topic: "room", data: "hello" });
    const echo = { type: "publish", topic: "room", data: "hello", clients: 2 };
    expect(await Promise.all([ada.next(), bob.next()])).toEqual([echo, echo]);
    bob.close();
    await until(() => server.counts().connections === 1);
    ada.say({ type: "publish", topic: "room", data: "alone" });
    expect(await ada.next()).toMatchObject({ data: "alone", clients: 1 });
  });

  it("requests that are no handshakes get y-webrtc's okay", async () => {
    const { port } = await start();
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect([response.status, await response.text()]).toEqual([200, "okay"]);
    const post = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: "x" });
    expect(post.status).toBe(405);
    await post.body?.cancel();
  });

  it("a client that is sent more than the limit and does not read is dropped", async () => {
    const { url, port, server } = await start({
      limits: { messagesPerS: 10_000, burstMessages: 10_000, bytesPerS: 2e9, burstBytes: 2e9 },
    });
    const slow = await openRawSocket(port, '{"type":"subscribe","topics":["room"]}');
    const ada = await RealClient.open(url);
    ada.say({ type: "subscribe", topics: ["room"] });
    const data = "x".repeat(60_000);
    let numSent = 0;
    // The system's own buffers take some MiB before any wait in the server.
    for (; server.counts().refused.slow === 0 && numSent < 1000; numSent++) {
      ada.say({ type: "publish", topic: "room", data });
      expect(await ada.next()).toMatchObject({ data });
    }
    expect(server.counts().refused.slow).toBe(1);
    expect(numSent).toBeGreaterThan(17);
    await until(() => server.counts().connections === 1, 3000);
    slow.close();
  });

  it("a client that sends too fast is not read meanwhile, and loses nothing", async () => {
    const limits = { burstMessages: 5, messagesPerS: 50, waitingMessages: 8, burstBytes: 1e9 };
    const { port, server } = await start({ limits });
    const fast = await openRawSocket(port, '{"type":"subscribe","topics":["room"]}');
    const data = "x".repeat(30_000);
    for (let i = 0; i < 40; i++) {
      await writeAll(fast, frame(JSON.stringify({ type: "publish", topic: "room", data })));
    }
    await until(() => server.counts().published === 40, 5000);
    expect(server.counts().throttled).toBeGreaterThan(10);
    expect(server.counts().refused.rate).toBe(0);
    fast.close();
  });

  it("a client that does not listen is hung up on all the same", async () => {
    const { port, server } = await start();
    const deaf = await openRawSocket(port, "{");
    await until(() => server.counts().connections === 0, 3000);
    expect((await new Response(deaf.readable).bytes())[0]).toBe(0x88);
  });
});

describe("at the door", () => {
  it("a page of a foreign origin gets 403, the server's own and programs come in", async () => {
    const { url, port, server } = await start({ allowedOrigins: ["self"] });
    await RealClient.open(url);
    await RealClient.open(url, { origin: `http://127.0.0.1:${port}` });
    await expect(RealClient.open(url, { origin: "https://evil.example" })).rejects.toThrow("403");
    expect(server.counts()).toMatchObject({ connections: 2, refused: { origin: 1 } });
  });

  it("one connection more than an address may have gets 429 and why", async () => {
    const { url, port, server } = await start({ limits: { connectionsPerAddress: 2 } });
    const [ada] = [await RealClient.open(url), await RealClient.open(url)];
    const refused = await Deno.connect({ hostname: "127.0.0.1", port });
    await writeAll(refused, handshake());
    // All there is, so the server has hung up.
    expect(await new Response(refused.readable).text()).toMatch(
      /^HTTP\/1\.1 429 .*Too many connections/s,
    );
    ada!.close();
    await until(() => server.counts().connections === 1);
    await RealClient.open(url);
  });

  it("other paths than the given one get 404", async () => {
    const { url, server } = await start({ path: "/signaling" });
    await RealClient.open(`${url}/signaling?room=1`);
    await expect(RealClient.open(url)).rejects.toThrow("404");
    await expect(RealClient.open(`${url}/signaling/x`)).rejects.toThrow("404");
    expect(server.counts().connected).toBe(1);
  });

  it("a client that stays silent is closed when its time is up", async () => {
    const { url } = await start({ limits: { handshakeMs: 100 } });
    const silent = await RealClient.open(url);
    expect(await silent.closed)
      .toEqual({ code: 1008, reason: "No valid message within 100 ms" });
  });

  it("a client that answers pings stays, one that does not is closed", async () => {
    const { url, port, server } = await start({ limits: { pingMs: 100 } });
    const ada = await RealClient.open(url);
    ada.say({ type: "subscribe", topics: ["room"] });
    const deaf = await openRawSocket(port, '{"type":"subscribe","topics":["room"]}');
    await until(() => server.counts().refused.silent === 1, 5000);
    await ada.settle();
    await until(() => server.counts().connections === 1, 3000);
    deaf.close();
  });
});

describe("frames that break the rules", () => {
  it("of 100 MiB are refused by their header, whole or in parts", async () => {
    const { port, server } = await start();
    const whole = await openRawSocket(port);
    await writeAll(whole, frameHeader(100 * 1024 * 1024));
    expect(await closeCodeOf(whole)).toBe(1009);
    const parts = await openRawSocket(port);
    await writeAll(parts, frame("x".repeat(40_000), 0x01));
    await writeAll(parts, frameHeader(40_000, 0x00));
    expect(await closeCodeOf(parts)).toBe(1009);
    const crumbs = await openRawSocket(port);
    await writeAll(crumbs, frame("x", 0x01));
    for (let i = 0; i < 64; i++) await writeAll(crumbs, frame("", 0x00));
    expect(await closeCodeOf(crumbs)).toBe(1008);
    expect(server.counts().refused).toMatchObject({ frame: 2, malformed: 1 });
  });

  it("end their connection with the code for it", async () => {
    const { port, url, server } = await start();
    const broken: [Uint8Array<ArrayBuffer>, number][] = [
      [new Uint8Array([0x81, 0x02, 0x7b, 0x7d]), 1002], // not masked
      [new Uint8Array([0xf1, 0x80, 0, 0, 0, 0]), 1002], // reserved bits
      [new Uint8Array([0x83, 0x80, 0, 0, 0, 0]), 1002], // no such opcode
      [new Uint8Array([0x89, 0xfe, 0, 200, 0, 0, 0, 0]), 1002], // ping of 200 bytes
      [new Uint8Array([0x80, 0x80, 0, 0, 0, 0]), 1002], // part of nothing
      [new Uint8Array([0x81, 0x81, 0, 0, 0, 0, 0xff]), 1007], // not UTF-8
      [frame("{"), 1007],
    ];
    for (const [bytes, code] of broken) {
      const socket = await openRawSocket(port);
      await writeAll(socket, bytes);
      expect(await closeCodeOf(socket), `${bytes}`).toBe(code);
    }
    const binary = await RealClient.open(url);
    binary.send(new TextEncoder().encode('{"type":"ping"}'));
    expect((await binary.closed).code).toBe(1007);
    expect(server.counts()).toMatchObject({ refused: { malformed: broken.length + 1 } });
  });

  it("do not end the server: thousands of them, and runs of random bytes", async () => {
    const { port, url, server } = await start({ limits: { connectionsPerAddress: 1000 } });
    const ada = await RealClient.open(url);
    ada.say({ type: "subscribe", topics: ["room"] });
    const frames = new MalformedFrames(7);
    const randomBytes = () =>
      Uint8Array.from({ length: frames.below(400) }, () => frames.below(256));
    const attack = async (bytes: Uint8Array) => {
      const socket = await openRawSocket(port);
      try {
        await writeAll(socket, bytes);
        await socket.closeWrite();
        await socket.readable.pipeTo(new WritableStream());
      } catch {
        // The server was quicker to hang up.
      }
    };
    for (let i = 0; i < 250; i++) {
      const texts = Array.from({ length: 10 }, () => attack(frame(frames.next())));
      await Promise.all([...texts, attack(randomBytes()), attack(randomBytes())]);
    }
    await until(() => server.counts().connections === 1, 5000);
    expect(server.counts().connected).toBe(3001);
    expect(server.counts().refused.malformed).toBeGreaterThan(2000);
    await ada.settle();
  });
});

/** The code in the close frame that comes next. */
async function closeCodeOf(socket: Deno.TcpConn): Promise<number> {
  const bytes = new Uint8Array(200);
  const numBytes = await socket.read(bytes);
  socket.close();
  return numBytes !== null && bytes[0] === 0x88 ? new DataView(bytes.buffer).getUint16(2) : -1;
}
