import type { Frame } from "../../src/mesh/frame.ts";
import { FRAME_HEADER_BYTES } from "../../src/mesh/frame.ts";
import { FrameAssembler } from "../../src/mesh/frame_assembler.ts";
import { sliceFrame } from "../../src/mesh/frame_slices.ts";
import { aborted } from "../../src/mesh/aborted.ts";
import { DRAIN_DEADLINE_MS } from "../../src/mesh/back_pressure.ts";
import { KeepAlive, SILENCE_REASON } from "../../src/mesh/keep_alive.ts";
import { LinkListeners } from "../../src/mesh/link_listeners.ts";
import {
  encodeLinkMessage,
  type LinkMessage,
  parseLinkMessage,
} from "../../src/mesh/link_message.ts";
import {
  type Lane,
  LinkClosedError,
  type LinkListener,
  type LinkStats,
  type PeerLink,
} from "../../src/mesh/peer_link.ts";
import { DEFAULT_MAX_PAYLOAD_BYTES } from "../../src/mesh/rtc_lane.ts";
import type { SimNode } from "./node.ts";
import type { SimWire } from "./wire.ts";

/** Who looks on as messages pass. */
export interface LinkTap {
  onSentFrame(link: SimLink, frame: Frame): void;
  onFrame(link: SimLink, frame: Frame): void;
  onControl(link: SimLink, message: unknown): void;
  onClosed(link: SimLink, reason: string): void;
  /** Too much is buffered: a sender waits. */
  onWait(link: SimLink): void;
}

/** What one end is made of. */
export interface SimLinkOptions {
  /** Id of the other side. */
  readonly peerId: string;
  readonly ownId: string;
  readonly node: SimNode;
  /** Away from this end. */
  readonly wires: Readonly<Record<Lane | "control", SimWire>>;
  /** A sender waits while more than this is buffered in a lane. */
  readonly highWaterBytes: number;
  readonly tap: LinkTap;
  /** This end is closed; nothing more is sent from it. */
  readonly onEnd: () => void;
}

const HELLO = "hello";

/** One end of a link: RtcLink with wires of the simulation in place of WebRTC. */
export class SimLink implements PeerLink {
  readonly peerId: string;
  readonly ownId: string;
  readonly node: SimNode;
  readonly wires: SimLinkOptions["wires"];
  /** Listeners that are registered: they must not add up. */
  numListeners = 0;
  /** Frames that will be swallowed as they arrive. */
  numToLose = 0;
  /** Most bytes that waited at once. */
  mostBufferedBytes = 0;
  readonly #options: SimLinkOptions;
  readonly #closing = new AbortController();
  readonly #listeners = new LinkListeners();
  readonly #keepAlive: KeepAlive;
  readonly #assemblers: Readonly<Record<Lane, FrameAssembler>>;
  readonly #tails: Record<Lane, Promise<void>>;
  readonly #greeted = Promise.withResolvers<void>();
  #other!: SimLink;
  #waitingBytes = 0;
  #closedReason: string | null = null;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(options: SimLinkOptions) {
    const { peerId, ownId, node, wires } = options;
    this.peerId = peerId;
    this.ownId = ownId;
    this.node = node;
    this.wires = wires;
    this.#options = options;
    this.#assemblers = {
      hot: new FrameAssembler(DEFAULT_MAX_PAYLOAD_BYTES),
      bulk: new FrameAssembler(DEFAULT_MAX_PAYLOAD_BYTES),
    };
    this.#tails = { hot: Promise.resolve(), bulk: Promise.resolve() };
    this.#keepAlive = new KeepAlive({
      clock: node,
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
      bufferedBytes: this.#bufferedBytes,
    };
  }

  connect(other: SimLink): void {
    this.#other = other;
  }

  /** Resolves when the other side has said hello, too. */
  async shakeHands(): Promise<void> {
    this.wires.control.post(HELLO.length, () => this.#other.#greeted.resolve());
    await this.#greeted.promise;
  }

  /** Open: from now on the other side has to give signs of life. */
  start(): void {
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
    this.#options.tap.onSentFrame(this, frame);
    const sizeBytes = FRAME_HEADER_BYTES + frame.payload.length;
    const slices = [...sliceFrame(frame, lane)].map((slice) => slice.slice());
    this.#waitingBytes += sizeBytes;
    this.mostBufferedBytes = Math.max(this.mostBufferedBytes, this.#bufferedBytes);
    const sending = this.#tails[lane].then(() => this.#sendSlices(slices, lane))
      .finally(() => this.#waitingBytes -= sizeBytes);
    this.#tails[lane] = sending.catch(() => {});
    await sending;
  }

  listen(listener: LinkListener): () => void {
    this.numListeners++;
    let isListening = true;
    const stop = this.#listeners.listen(listener);
    return () => {
      if (isListening) this.numListeners--;
      isListening = false;
      stop();
    };
  }

  allowPayload(maxBytes: number): void {
    for (const assembler of Object.values(this.#assemblers)) assembler.maxPayloadBytes = maxBytes;
  }

  close(reason: string): void {
    if (this.#closedReason !== null) return;
    this.#send({ type: "bye", reason });
    this.#shut(reason);
  }

  /** The same frame once more, as a broken transport or an attacker would deliver it. */
  deliverAgain(frame: Frame): void {
    if (this.#closedReason === null) this.#takeFrame({ ...frame, payload: frame.payload.slice() });
  }

  get #bufferedBytes(): number {
    const { hot, bulk } = this.wires;
    return this.#waitingBytes + hot.bufferedBytes + bulk.bufferedBytes;
  }

  async #sendSlices(slices: readonly Uint8Array[], lane: Lane): Promise<void> {
    const { highWaterBytes } = this.#options;
    const wire = this.wires[lane];
    for (const slice of slices) {
      if (wire.bufferedBytes > highWaterBytes) await this.#drain(wire);
      this.#closing.signal.throwIfAborted();
      this.#bytesOut += slice.length;
      wire.post(slice.length, () => this.#other.#takeSlice(slice, lane));
    }
  }

  /** As RtcLane waits. */
  async #drain(wire: SimWire): Promise<void> {
    const { highWaterBytes, tap } = this.#options;
    tap.onWait(this);
    const waiting = new AbortController();
    const isLate = this.node.sleep(DRAIN_DEADLINE_MS, waiting.signal).then(() => true, () => false);
    const isDrained = wire.drainedTo(highWaterBytes / 4).then(() => false);
    try {
      if (!await Promise.race([isLate, isDrained, aborted(this.#closing.signal)])) return;
    } finally {
      waiting.abort();
    }
    this.close(`The other side took too little for ${DRAIN_DEADLINE_MS / 1000} s`);
  }

  #send(message: LinkMessage): void {
    const text = encodeLinkMessage(message);
    this.#bytesOut += text.length;
    this.wires.control.post(text.length, () => this.#other.#takeControl(text));
  }

  #takeControl(text: string): void {
    const message = parseLinkMessage(text);
    if (this.#closedReason !== null || !message) return;
    this.#hear(text.length);
    if (message.type === "ping") this.#send({ type: "pong", id: message.id });
    if (message.type === "pong") this.#keepAlive.hearPong(message.id);
    if (message.type === "bye") this.#shut(message.reason);
    if (message.type !== "user") return;
    this.#options.tap.onControl(this, message.message);
    if (!this.#listeners.control(message.message, text.length)) this.#overrun();
  }

  #takeSlice(slice: Uint8Array, lane: Lane): void {
    if (this.#closedReason !== null) return;
    this.#hear(slice.length);
    const assembly = this.#assemblers[lane].push(slice);
    if (assembly.type === "frame" && !this.#loses(assembly.frame)) this.#takeFrame(assembly.frame);
    if (assembly.type === "fault") this.close(assembly.reason);
  }

  #loses({ type }: Frame): boolean {
    if (this.numToLose === 0 || type === "weights") return false;
    this.numToLose--;
    return true;
  }

  #takeFrame(frame: Frame): void {
    this.#options.tap.onFrame(this, frame);
    if (!this.#listeners.frame(frame)) this.#overrun();
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
    this.numListeners = 0;
    this.#options.tap.onClosed(this, reason);
    this.#options.onEnd();
  }
}
