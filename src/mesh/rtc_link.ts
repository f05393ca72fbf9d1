/**
 * A PeerLink over WebRTC.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";
import { aborted } from "./aborted.ts";
import { HIGH_WATER_BYTES } from "./back_pressure.ts";
import { readCandidateType } from "./candidate_type.ts";
import type { Frame } from "./frame.ts";
import { KeepAlive, SILENCE_REASON } from "./keep_alive.ts";
import { LinkListeners } from "./link_listeners.ts";
import { encodeLinkMessage, type LinkMessage, parseLinkMessage } from "./link_message.ts";
import {
  type CandidateType,
  type Lane,
  LinkClosedError,
  type LinkListener,
  type LinkStats,
  type PeerLink,
} from "./peer_link.ts";
import { RtcConnection, type RtcConnectionOptions } from "./rtc_connection.ts";
import { RtcLane } from "./rtc_lane.ts";

/** How long the goodbye may take to reach the other side, which then ends the connection. */
const GOODBYE_MS = 500;

/** The candidate type is read this often: it changes rarely. */
const CANDIDATE_TYPE_EVERY_MS = 10_000;

/** What a link is made of. */
export interface RtcLinkOptions extends RtcConnectionOptions {
  readonly clock: Clock;
  /** Of the other side. */
  readonly peerId: string;
}

/** One end of a link. Until `start()` it is a connection to somebody: see `dialLink`. */
export class RtcLink implements PeerLink {
  readonly peerId: string;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #listeners = new LinkListeners();
  readonly #connection: RtcConnection;
  readonly #lanes: Readonly<Record<Lane, RtcLane>>;
  readonly #keepAlive: KeepAlive;
  /** Messages that nobody took yet; null once the link is open and takes them itself. */
  #inbox: LinkMessage[] | null = [];
  #onInbox: () => void = () => {};
  #closedReason: string | null = null;
  #isConnected = false;
  #candidateType: CandidateType = "unknown";
  #candidateTypeAtMs = -Infinity;
  #bytesIn = 0;
  #controlBytesOut = 0;

  constructor(options: RtcLinkOptions) {
    this.peerId = options.peerId;
    this.#clock = options.clock;
    this.#keepAlive = new KeepAlive({
      clock: options.clock,
      sendPing: (id) => this.#send({ type: "ping", id }),
    });
    this.#connection = new RtcConnection(options, {
      onOpen: () => {
        this.#isConnected = true;
        this.#onInbox();
      },
      onControl: (text) => this.#receive(text),
      onClose: (reason) => this.#shut(reason),
    });
    this.#lanes = { hot: this.#makeLane("hot"), bulk: this.#makeLane("bulk") };
  }

  get closedReason(): string | null {
    return this.#closedReason;
  }

  get stats(): LinkStats {
    const { hot, bulk } = this.#lanes;
    return {
      rttMs: this.#keepAlive.rttMs,
      candidateType: this.#candidateType,
      bytesIn: this.#bytesIn,
      bytesOut: this.#controlBytesOut + hot.bytesOut + bulk.bytesOut,
      bufferedBytes: hot.bufferedBytes + bulk.bufferedBytes,
    };
  }

  /** The connection below, for the handshake. */
  get connection(): RtcConnection {
    return this.#connection;
  }

  /** Resolves when all channels are open; rejects with a LinkClosedError. */
  async connected(): Promise<void> {
    await this.#until(() => this.#isConnected);
    const { hot, bulk } = this.#lanes;
    const opened = Promise.all([hot.opened(), bulk.opened()]);
    await Promise.race([opened, aborted(this.#closing.signal)]);
  }

  /** Sends a message of the handshake. */
  sendHandshake(message: LinkMessage): void {
    this.#send(message);
  }

  /** The next message of the handshake; rejects with a LinkClosedError. */
  async receiveHandshake(): Promise<LinkMessage> {
    await this.#until(() => this.#inbox?.length !== 0);
    const message = this.#inbox?.shift();
    if (!message) throw new LinkClosedError("The handshake is over");
    return message;
  }

  /** Opens the link, now that the other side has proven who it is. */
  start(): void {
    const inbox = this.#inbox ?? [];
    this.#inbox = null;
    for (const message of inbox) this.#handle(message);
    this.#lanes.hot.start();
    this.#lanes.bulk.start();
    this.#keepAlive.run(this.#closing.signal, () => this.#check()).then(
      () => this.#fault(SILENCE_REASON),
      () => {},
    );
  }

  sendControl(message: unknown): void {
    if (this.#closedReason === null) this.#send({ type: "user", message });
  }

  sendFrame(frame: Frame, lane: Lane): Promise<void> {
    if (this.#closedReason !== null) {
      return Promise.reject(new LinkClosedError(this.#closedReason));
    }
    return this.#lanes[lane].send(frame);
  }

  listen(listener: LinkListener): () => void {
    return this.#listeners.listen(listener);
  }

  allowPayload(maxBytes: number): void {
    this.#lanes.hot.maxPayloadBytes = maxBytes;
    this.#lanes.bulk.maxPayloadBytes = maxBytes;
  }

  close(reason: string): void {
    if (this.#closedReason !== null) return;
    if (this.#isConnected) this.#send({ type: "bye", reason });
    this.#shut(reason);
    if (!this.#isConnected) return this.#connection.destroy();
    this.#clock.sleep(GOODBYE_MS).then(() => this.#connection.destroy());
  }

  #receive(text: unknown): void {
    if (this.#closedReason !== null) return;
    const sizeBytes = typeof text === "string" ? text.length : 0;
    this.#hear(sizeBytes);
    const message = parseLinkMessage(text);
    if (!message) return this.#fault("The other side sent what is no control message");
    if (!this.#inbox) return this.#handle(message, sizeBytes);
    this.#inbox.push(message);
    if (this.#inbox.length > 64) this.#fault("Too many messages before the handshake");
    this.#onInbox();
  }

  #handle(message: LinkMessage, sizeBytes = 0): void {
    switch (message.type) {
      case "ping":
        return this.#send({ type: "pong", id: message.id });
      case "pong":
        return this.#keepAlive.hearPong(message.id);
      case "user":
        if (!this.#listeners.control(message.message, sizeBytes)) this.#overrun();
        return;
      case "bye":
        this.#shut(message.reason);
        return this.#connection.destroy();
      case "hello":
      case "proof":
        return this.#fault("The other side repeated the handshake");
      default:
        message satisfies never;
    }
  }

  #send(message: LinkMessage): void {
    const text = encodeLinkMessage(message);
    if (this.#connection.sendControl(text)) this.#controlBytesOut += text.length;
    if (message.type === "bye" || this.#connection.bufferedControlBytes <= HIGH_WATER_BYTES) return;
    this.#fault("The other side does not take control messages");
  }

  #check(): void {
    this.#lanes.hot.checkProgress();
    this.#lanes.bulk.checkProgress();
    const nowMs = this.#clock.now();
    if (nowMs - this.#candidateTypeAtMs < CANDIDATE_TYPE_EVERY_MS) return;
    this.#candidateTypeAtMs = nowMs;
    readCandidateType(this.#connection.native).then((type) => this.#candidateType = type);
  }

  #makeLane(name: Lane): RtcLane {
    return new RtcLane(this.#connection.lanes[name], {
      name,
      clock: this.#clock,
      signal: this.#closing.signal,
      onBytes: (sizeBytes) => this.#hear(sizeBytes),
      onFrame: (frame) => {
        if (!this.#listeners.frame(frame)) this.#overrun();
      },
      onFault: (reason) => this.#fault(reason),
    });
  }

  #hear(sizeBytes: number): void {
    this.#bytesIn += sizeBytes;
    this.#keepAlive.hear();
  }

  #overrun(): void {
    this.#fault("Too much arrived before anybody listened");
  }

  /** Closes because of the other side, which is told in case it can still hear. */
  #fault(reason: string): void {
    this.close(reason);
  }

  #shut(reason: string): void {
    if (this.#closedReason !== null) return;
    this.#closedReason = reason;
    this.#closing.abort(new LinkClosedError(reason));
    this.#listeners.close(reason);
    this.#onInbox();
  }

  /** Resolves when a condition of the connection or inbox holds; rejects when the link closes. */
  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      this.#closing.signal.throwIfAborted();
      await new Promise<void>((resolve) => this.#onInbox = resolve);
    }
  }
}
