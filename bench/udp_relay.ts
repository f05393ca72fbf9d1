/**
 * A bad network on one machine: a UDP relay on loopback that delays, loses and throttles what two
 * peers send to each other. It comes between them by way of their signals: pass those of each side
 * through `reroute()`, and the other side sends to the relay.
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

/** What waits for its turn at most, here and in the sockets. */
const MAX_QUEUED_BYTES = 4 * 1024 * 1024;

/** A relay between two peers. */
export class UdpRelay {
  /** While true, everything is lost. */
  isCut = false;
  readonly #path: Required<PathOptions>;
  readonly #doors: Readonly<Record<RelaySide, Door>>;

  private constructor(path: Required<PathOptions>, sockets: Readonly<Record<RelaySide, Socket>>) {
    this.#path = path;
    this.#doors = { a: new Door(sockets.a), b: new Door(sockets.b) };
    // What arrives at the door that stands for one side was sent by the other.
    sockets.a.on("message", (packet, from) => this.#forward("b", packet, from));
    sockets.b.on("message", (packet, from) => this.#forward("a", packet, from));
  }

  static async open(options: PathOptions): Promise<UdpRelay> {
    const sockets = { a: createSocket("udp4"), b: createSocket("udp4") };
    for (const socket of [sockets.a, sockets.b]) {
      socket.bind(0, "127.0.0.1");
      await once(socket, "listening");
      socket.setRecvBufferSize(MAX_QUEUED_BYTES);
    }
    return new UdpRelay({ loss: 0, bytesPerSecond: Infinity, ...options }, sockets);
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

  #forward(from: RelaySide, packet: Uint8Array, source: { address: string; port: number }): void {
    const { delayMs, loss, bytesPerSecond } = this.#path;
    // Seen from here the sender may have another address than it announced.
    this.#doors[from].owner = { address: source.address, port: source.port };
    if (this.isCut || Math.random() < loss) return;
    const to = this.#doors[from === "a" ? "b" : "a"];
    to.enqueue(packet, { through: this.#doors[from], delayMs, bytesPerSecond });
  }
}

/** The socket that one peer's packets come from and go to, as the other peer sees it. */
class Door {
  /** Where the peer itself is; null until known. */
  owner: { address: string; port: number } | null = null;
  readonly #socket: Socket;
  readonly #queue: { packet: Uint8Array; through: Door; dueMs: number }[] = [];
  #queuedBytes = 0;
  #freeAtMs = 0;
  #isDelivering = false;
  #isClosed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** Takes a packet for the owner, who is to see it come `through` the other peer's door. */
  enqueue(
    packet: Uint8Array,
    options: { through: Door; delayMs: number; bytesPerSecond: number },
  ): void {
    if (this.#queuedBytes + packet.length > MAX_QUEUED_BYTES) return;
    const { through, delayMs, bytesPerSecond } = options;
    const startMs = Math.max(performance.now(), this.#freeAtMs);
    this.#freeAtMs = startMs + packet.length / bytesPerSecond * 1000;
    this.#queue.push({ packet, through, dueMs: this.#freeAtMs + delayMs });
    this.#queuedBytes += packet.length;
    if (!this.#isDelivering) this.#deliver();
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.close();
  }

  async #deliver(): Promise<void> {
    this.#isDelivering = true;
    for (let next = this.#queue[0]; next && !this.#isClosed; next = this.#queue[0]) {
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        await new Promise((resolve) => setTimeout(resolve, waitMs));
        continue;
      }
      this.#queue.shift();
      this.#queuedBytes -= next.packet.length;
      if (this.owner) await next.through.#send(next.packet, this.owner);
    }
    this.#isDelivering = false;
  }

  /** Resolves when the packet has left: Deno does not keep the order of sends that overlap. */
  #send(packet: Uint8Array, { address, port }: { address: string; port: number }): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => this.#socket.send(packet, port, address, () => resolve()));
  }
}
