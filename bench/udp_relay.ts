/**
 * A bad network on one machine: a UDP relay on loopback that delays, loses and throttles what two
 * peers send to each other. It comes between them by way of their signals: pass those of each side
 * through `reroute()`, and the other side sends to the relay. Each connection has a crossing of its
 * own, all share the path. See `throughRelay` for links, whose later connections have signals that
 * nobody sees.
 *
 * @module
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { parseRtcSignal, type RtcSignal } from "../src/mesh/rtc_signal.ts";

/** What the path does to packets, in each direction. */
export interface PathOptions {
  readonly delayMs: number;
  /** Share of packets lost, 0 to 1. */
  readonly loss?: number;
  /** Packets queue for this rate; unlimited when missing. */
  readonly bytesPerSecond?: number;
}

/** The two peers. */
export type RelaySide = "a" | "b";

/** What waits for its turn at most. */
const MAX_QUEUED_BYTES = 4 * 1024 * 1024;

/** A path between two peers. */
export class UdpRelay {
  /** While true, everything is lost. */
  isCut = false;
  readonly #loss: number;
  /** What waits to arrive at each side. */
  readonly #queues: Readonly<Record<RelaySide, PacketQueue>>;
  readonly #crossings: Crossing[] = [];

  constructor({ loss = 0, ...path }: PathOptions) {
    this.#loss = loss;
    this.#queues = { a: new PacketQueue(path), b: new PacketQueue(path) };
  }

  #first: Crossing | null = null;

  /** A relay with a crossing for the first connection of a link. */
  static async open(path: PathOptions): Promise<UdpRelay> {
    const relay = new UdpRelay(path);
    relay.#first = await relay.cross();
    return relay;
  }

  /** See Crossing. */
  reroute(side: RelaySide, sent: unknown): RtcSignal | null {
    return this.#first?.reroute(side, sent) ?? null;
  }

  /** One of each connection. */
  get crossings(): readonly Crossing[] {
    return this.#crossings;
  }

  /** A way over the path for one more connection. */
  async cross(): Promise<Crossing> {
    const doors = { a: await Door.open(), b: await Door.open() };
    const crossing = new Crossing(doors, (to, packet) => {
      if (!this.isCut && Math.random() >= this.#loss) this.#queues[to].push(packet);
    });
    this.#crossings.push(crossing);
    return crossing;
  }

  close(): void {
    for (const crossing of this.#crossings) crossing.close();
  }
}

/** Takes a packet that is to arrive at one side. */
type Carry = (to: RelaySide, packet: Packet) => void;

/** One connection's way over the path. */
export class Crossing {
  /** That arrived at the relay so far. */
  numBytes = 0;
  readonly #doors: Readonly<Record<RelaySide, Door>>;

  constructor(doors: Readonly<Record<RelaySide, Door>>, carry: Carry) {
    this.#doors = doors;
    // What arrives at the door that stands for one side was sent by the other.
    for (const [to, from] of [["a", "b"], ["b", "a"]] as const) {
      doors[to].listen((bytes, source) => {
        this.numBytes += bytes.length;
        doors[from].owner = source;
        carry(to, { bytes, from: doors[from], to: doors[to] });
      });
    }
  }

  /**
   * What the other side should get instead of a signal that `side` sends: its first IPv4 candidate
   * leads to the relay, all others are dropped (null).
   */
  reroute(side: RelaySide, sent: unknown): RtcSignal | null {
    const signal = parseRtcSignal(sent);
    if (signal?.type !== "candidate") {
      return signal && { ...signal, sdp: signal.sdp.replace(/^a=candidate:.*\r?\n/gm, "") };
    }
    const fields = (signal.candidate.candidate ?? "").split(" ");
    const [, component, protocol, , address = "", port] = fields;
    const isUsable = component === "1" && protocol?.toLowerCase() === "udp" &&
      /^[\d.]+$/.test(address);
    const door = this.#doors[side];
    if (!isUsable || door.owner) return null;
    door.owner = { address, port: Number(port) };
    fields.splice(4, 2, "127.0.0.1", String(door.port));
    return { type: "candidate", candidate: { ...signal.candidate, candidate: fields.join(" ") } };
  }

  close(): void {
    this.#doors.a.close();
    this.#doors.b.close();
  }
}

interface Address {
  readonly address: string;
  readonly port: number;
}

/** The owner of `to` gets it and sees it come from the door `from`. */
interface Packet {
  readonly bytes: Uint8Array;
  readonly from: Door;
  readonly to: Door;
}

/** What is on its way to one side, in order. */
class PacketQueue {
  readonly #delayMs: number;
  readonly #bytesPerSecond: number;
  readonly #packets: (Packet & { readonly dueMs: number })[] = [];
  #queuedBytes = 0;
  #freeAtMs = 0;
  #isDelivering = false;

  constructor({ delayMs, bytesPerSecond = Infinity }: PathOptions) {
    this.#delayMs = delayMs;
    this.#bytesPerSecond = bytesPerSecond;
  }

  push(packet: Packet): void {
    const { length } = packet.bytes;
    if (this.#queuedBytes + length > MAX_QUEUED_BYTES) return;
    const startMs = Math.max(performance.now(), this.#freeAtMs);
    this.#freeAtMs = startMs + length / this.#bytesPerSecond * 1000;
    this.#packets.push({ ...packet, dueMs: this.#freeAtMs + this.#delayMs });
    this.#queuedBytes += length;
    if (!this.#isDelivering) this.#deliver();
  }

  async #deliver(): Promise<void> {
    this.#isDelivering = true;
    for (let next = this.#packets[0]; next; next = this.#packets[0]) {
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        await new Promise((resolve) => setTimeout(resolve, waitMs));
        continue;
      }
      this.#packets.shift();
      this.#queuedBytes -= next.bytes.length;
      if (next.to.owner) await next.from.send(next.bytes, next.to.owner);
    }
    this.#isDelivering = false;
  }
}

/** The socket that one peer's packets come from and go to, as the other peer sees it. */
class Door {
  /** Where the peer itself is; null until known. */
  owner: Address | null = null;
  readonly #socket: Socket;
  #isClosed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async open(): Promise<Door> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    return new Door(socket);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  listen(onPacket: (bytes: Uint8Array, source: Address) => void): void {
    this.#socket.on("message", (bytes, { address, port }) => onPacket(bytes, { address, port }));
  }

  /** Resolves when the packet has left: Deno does not keep the order of sends that overlap. */
  send(bytes: Uint8Array, { address, port }: Address): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => this.#socket.send(bytes, port, address, () => resolve()));
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.close();
  }
}
