/**
 * Links within a process: for tests and simulations, and wherever both ends are at home.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";
import { type Frame, FRAME_HEADER_BYTES } from "./frame.ts";
import { KeepAlive, SILENCE_REASON } from "./keep_alive.ts";
import { LinkListeners } from "./link_listeners.ts";
import { encodeLinkMessage, type LinkMessage, parseLinkMessage } from "./link_message.ts";
import { type Cable, MemoryWire } from "./memory_wire.ts";
import {
  type Lane,
  LinkClosedError,
  type LinkListener,
  type LinkStats,
  type PeerLink,
} from "./peer_link.ts";
import { DEFAULT_MAX_PAYLOAD_BYTES } from "./rtc_lane.ts";

/** Who is at the ends, and how far apart. */
export interface MemoryLinkOptions {
  readonly clock: Clock;
  /** Peer ids. */
  readonly a: string;
  readonly b: string;
  /** One way. */
  readonly delayMs?: number;
}

/** Both ends of a link. */
export interface MemoryLinkPair {
  /** The end at peer `a`, whose `peerId` is that of `b`. */
  readonly a: PeerLink;
  readonly b: PeerLink;
  /** While true, everything that arrives at either end is lost. */
  isCut: boolean;
}

/** Two ends that pass messages to each other. Nothing is delivered within the call that sends it. */
export function memoryLinkPair({ clock, a, b, delayMs = 0 }: MemoryLinkOptions): MemoryLinkPair {
  const cable: Cable = { clock, delayMs, isCut: false };
  const endAtA = new MemoryLink(b, cable);
  const endAtB = new MemoryLink(a, cable);
  endAtA.connect(endAtB);
  endAtB.connect(endAtA);
  return {
    a: endAtA,
    b: endAtB,
    get isCut() {
      return cable.isCut;
    },
    set isCut(isCut) {
      cable.isCut = isCut;
    },
  };
}

class MemoryLink implements PeerLink {
  readonly peerId: string;
  readonly #cable: Cable;
  readonly #closing = new AbortController();
  readonly #listeners = new LinkListeners();
  readonly #keepAlive: KeepAlive;
  readonly #control: MemoryWire;
  readonly #lanes: Readonly<Record<Lane, MemoryWire>>;
  #other!: MemoryLink;
  #closedReason: string | null = null;
  #maxPayloadBytes = DEFAULT_MAX_PAYLOAD_BYTES;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(peerId: string, cable: Cable) {
    this.peerId = peerId;
    this.#cable = cable;
    const { signal } = this.#closing;
    this.#control = new MemoryWire(cable, signal);
    this.#lanes = { hot: new MemoryWire(cable, signal), bulk: new MemoryWire(cable, signal) };
    this.#keepAlive = new KeepAlive({
      clock: cable.clock,
      sendPing: (id) => this.#send({ type: "ping", id }),
    });
  }

  get closedReason(): string | null {
    return this.#closedReason;
  }

  get stats(): LinkStats {
    return {
      rttMs: this.#keepAlive.rttMs,
      candidateType: "memory",
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      bufferedBytes: this.#lanes.hot.bufferedBytes + this.#lanes.bulk.bufferedBytes,
    };
  }

  connect(other: MemoryLink): void {
    this.#other = other;
    this.#keepAlive.run(this.#closing.signal, () => {}).then(
      () => this.close(SILENCE_REASON),
      () => {},
    );
  }

  sendControl(message: unknown): void {
    if (this.#closedReason === null) this.#send({ type: "user", message });
  }

  async sendFrame(frame: Frame, lane: Lane): Promise<void> {
    if (this.#closedReason !== null) throw new LinkClosedError(this.#closedReason);
    const copy = { ...frame, payload: frame.payload.slice() };
    const sizeBytes = FRAME_HEADER_BYTES + copy.payload.length;
    await this.#lanes[lane].send(
      sizeBytes,
      () => this.#other.#takeFrame(copy),
    );
    this.#bytesOut += sizeBytes;
  }

  listen(listener: LinkListener): () => void {
    return this.#listeners.listen(listener);
  }

  allowPayload(maxBytes: number): void {
    this.#maxPayloadBytes = maxBytes;
  }

  close(reason: string): void {
    if (this.#closedReason !== null) return;
    this.#send({ type: "bye", reason });
    this.#shut(reason);
  }

  #send(message: LinkMessage): void {
    const text = encodeLinkMessage(message);
    this.#bytesOut += text.length;
    this.#control.post(() => this.#other.#takeControl(text));
  }

  #takeControl(text: string): void {
    const message = parseLinkMessage(text);
    if (this.#closedReason !== null || !message) return;
    this.#hear(text.length);
    if (message.type === "ping") this.#send({ type: "pong", id: message.id });
    if (message.type === "pong") this.#keepAlive.hearPong(message.id);
    if (message.type === "bye") this.#shut(message.reason);
    if (message.type !== "user") return;
    if (!this.#listeners.control(message.message, text.length)) this.#overrun();
  }

  #takeFrame(frame: Frame): void {
    if (this.#closedReason !== null) return;
    const { length } = frame.payload;
    this.#hear(FRAME_HEADER_BYTES + length);
    if (length > this.#maxPayloadBytes) {
      this.close(`Frame of ${length} bytes, where at most ${this.#maxPayloadBytes} are allowed`);
    } else if (!this.#listeners.frame(frame)) {
      this.#overrun();
    }
  }

  #hear(sizeBytes: number): void {
    this.#bytesIn += sizeBytes;
    this.#keepAlive.hear();
  }

  #overrun(): void {
    this.close("Too much arrived before anybody listened");
  }

  #shut(reason: string): void {
    if (this.#closedReason !== null) return;
    this.#closedReason = reason;
    this.#closing.abort(new LinkClosedError(reason));
    this.#listeners.close(reason);
  }
}
