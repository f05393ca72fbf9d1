import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { type PathOptions, type RelaySide, UdpRelay } from "../../bench/udp_relay.ts";

const closing: { close(): void }[] = [];
afterEach(() => {
  for (const open of closing.splice(0)) open.close();
});

test("packets arrive late, from where the other side is thought to be, and answers find back", async () => {
  const { a, b, portOf } = await connect({ delayMs: 30 });
  const startMs = performance.now();
  a.socket.send("ping", portOf("b"), "127.0.0.1");
  const ping = await b.next();
  expect(ping).toEqual({ text: "ping", port: portOf("a") });
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(29);
  b.socket.send("pong", ping.port, "127.0.0.1");
  expect(await a.next()).toEqual({ text: "pong", port: portOf("b") });
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(59);
});

test("packets queue for the rate, in order", async () => {
  const { a, b, portOf } = await connect({ delayMs: 0, bytesPerSecond: 20_000 });
  const startMs = performance.now();
  for (const name of ["1", "2", "3"]) {
    await new Promise((sent) => a.socket.send(name.repeat(500), portOf("b"), "127.0.0.1", sent));
  }
  for (const name of ["1", "2", "3"]) expect((await b.next()).text[0]).toBe(name);
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(74);
});

test("nothing arrives through a relay that loses everything, or is cut", async () => {
  for (const path of [{ delayMs: 0, loss: 1 }, { delayMs: 0 }]) {
    const { a, b, portOf, relay } = await connect(path);
    if (path.loss === undefined) {
      a.socket.send("before", portOf("b"), "127.0.0.1");
      expect((await b.next()).text).toBe("before");
      relay.isCut = true;
    }
    a.socket.send("lost", portOf("b"), "127.0.0.1");
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(b.numWaiting).toBe(0);
  }
});

test("reroute() leaves one candidate of each side, and none in descriptions", async () => {
  const crossing = await open({ delayMs: 0 }).cross();
  const reroute = (text: string) => crossing.reroute("a", candidate(text));
  expect(reroute("candidate:1 1 UDP 9 fd00::2 5 typ host")).toBeNull();
  expect(reroute("candidate:1 1 UDP 9 abc.local 5 typ host")).toBeNull();
  expect(reroute("candidate:1 1 TCP 9 192.0.2.7 5 typ host")).toBeNull();
  expect(reroute("candidate:1 1 UDP 9 192.0.2.7 5 typ host")).toMatchObject({
    candidate: {
      candidate: expect.stringMatching(/^candidate:1 1 UDP 9 127\.0\.0\.1 \d+ typ host$/),
    },
  });
  expect(reroute("candidate:2 1 UDP 9 192.0.2.8 5 typ host")).toBeNull();
  const sdp = "v=0\r\na=candidate:1 1 UDP 9 192.0.2.7 5 typ host\r\na=mid:0\r\n";
  const offer = { type: "offer", sdp: "v=0\r\na=mid:0\r\n" };
  expect(crossing.reroute("a", { type: "offer", sdp })).toEqual(offer);
  expect(crossing.reroute("a", { type: "noise" })).toBeNull();
});

/** Two sockets that know each other by the relay's ports. */
async function connect(path: PathOptions) {
  const relay = open(path);
  const crossing = await relay.cross();
  const [a, b] = [await Inlet.open(), await Inlet.open()];
  const ports = { a: announce("a", a), b: announce("b", b) };
  return { relay, a, b, portOf: (side: RelaySide) => ports[side] };

  function announce(side: RelaySide, { socket }: Inlet): number {
    const text = `candidate:1 1 UDP 9 127.0.0.1 ${socket.address().port} typ host`;
    const signal = crossing.reroute(side, candidate(text));
    return signal?.type === "candidate" ? Number(signal.candidate.candidate?.split(" ")[5]) : 0;
  }
}

function open(path: PathOptions): UdpRelay {
  const relay = new UdpRelay(path);
  closing.push(relay);
  return relay;
}

function candidate(text: string) {
  return { type: "candidate", candidate: { candidate: text, sdpMid: "0" } };
}

/** A socket and the packets that came to it. */
class Inlet {
  readonly socket: Socket;
  readonly #packets: { text: string; port: number }[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("message", (packet, { port }) => {
      this.#packets.push({ text: packet.toString(), port });
      socket.emit("packet");
    });
  }

  static async open(): Promise<Inlet> {
    const socket = createSocket("udp4");
    closing.push(socket);
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    return new Inlet(socket);
  }

  get numWaiting(): number {
    return this.#packets.length;
  }

  async next(): Promise<{ text: string; port: number }> {
    while (this.#packets.length === 0) await once(this.socket, "packet");
    return this.#packets.shift()!;
  }
}
