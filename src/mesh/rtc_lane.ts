import type { Clock } from "../platform/platform.ts";
import { DRAIN_DEADLINE_MS, HIGH_WATER_BYTES, LOW_WATER_BYTES } from "./back_pressure.ts";
import { waitUntilDrained } from "./back_pressure.ts";
import { type Frame, FRAME_HEADER_BYTES } from "./frame.ts";
import { FrameAssembler } from "./frame_assembler.ts";
import { sliceFrame } from "./frame_slices.ts";
import { type Lane, LinkClosedError } from "./peer_link.ts";

/** A frame of which nothing new arrives for this long is dropped with its link. */
const UNFINISHED_FRAME_MS = 10_000;

/** Most that is kept from a peer that has not proven who it is. */
const MAX_UNPROVEN_BYTES = 4 * 1024 * 1024;

/** Largest payload that is taken until the link's user says otherwise. */
export const DEFAULT_MAX_PAYLOAD_BYTES = 64 * 1024;

/** What a lane needs, and what it tells. */
export interface RtcLaneOptions {
  readonly name: Lane;
  readonly clock: Clock;
  /** Aborted with a LinkClosedError when the link closes. */
  readonly signal: AbortSignal;
  /** Called with every message's size, first. */
  onBytes(sizeBytes: number): void;
  onFrame(frame: Frame): void;
  /** The link must close. */
  onFault(reason: string): void;
}

/** One ordered, reliable channel of a connection, which carries one frame after the other. */
export class RtcLane {
  readonly #channel: RTCDataChannel;
  readonly #options: RtcLaneOptions;
  readonly #assembler = new FrameAssembler(DEFAULT_MAX_PAYLOAD_BYTES);
  /** What came before `start()`; null afterwards. */
  #unproven: Uint8Array[] | null = [];
  #unprovenBytes = 0;
  #heardAtMs = 0;
  #tail: Promise<void> = Promise.resolve();
  #numSending = 0;
  #waitingBytes = 0;
  #bytesOut = 0;

  constructor(channel: RTCDataChannel, options: RtcLaneOptions) {
    this.#channel = channel;
    this.#options = options;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = LOW_WATER_BYTES;
    channel.onmessage = ({ data }) => this.#receive(data);
    channel.onclose = () => options.onFault("The other side closed the connection");
  }

  set maxPayloadBytes(maxBytes: number) {
    this.#assembler.maxPayloadBytes = maxBytes;
  }

  /** Bytes of frames given to `send` that have not left yet. */
  get bufferedBytes(): number {
    const { readyState, bufferedAmount } = this.#channel;
    return this.#waitingBytes + (readyState === "open" ? bufferedAmount : 0);
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** Resolves when the channel is open. */
  opened(): Promise<void> {
    if (this.#channel.readyState === "open") return Promise.resolve();
    return new Promise((resolve) => {
      this.#channel.onopen = () => resolve();
    });
  }

  /** From now on the other side is trusted to be who it says. */
  start(): void {
    const unproven = this.#unproven ?? [];
    this.#unproven = null;
    for (const message of unproven) this.#assemble(message);
  }

  /** Call now and then: faults the link when the other side leaves a frame unfinished. */
  checkProgress(): void {
    if (!this.#assembler.hasUnfinishedFrame) return;
    if (this.#options.clock.now() - this.#heardAtMs > UNFINISHED_FRAME_MS) {
      this.#options.onFault(`Frame left unfinished for ${UNFINISHED_FRAME_MS / 1000} s`);
    }
  }

  /** See PeerLink.sendFrame. */
  send(frame: Frame): Promise<void> {
    const sizeBytes = FRAME_HEADER_BYTES + frame.payload.length;
    this.#waitingBytes += sizeBytes;
    // The usual case goes to the channel within this call.
    const sending = this.#numSending === 0
      ? this.#sendSlices(frame)
      : this.#tail.then(() => this.#sendSlices(frame));
    this.#numSending++;
    this.#tail = sending.catch(() => {}).finally(() => void this.#numSending--);
    return sending;
  }

  async #sendSlices(frame: Frame): Promise<void> {
    const { name, signal } = this.#options;
    let leftBytes = FRAME_HEADER_BYTES + frame.payload.length;
    try {
      for (const slice of sliceFrame(frame, name)) {
        if (this.#channel.bufferedAmount > HIGH_WATER_BYTES) await this.#drain();
        signal.throwIfAborted();
        this.#sendSlice(slice);
        this.#waitingBytes -= slice.length;
        leftBytes -= slice.length;
      }
    } finally {
      this.#waitingBytes -= leftBytes;
    }
  }

  #sendSlice(slice: Uint8Array<ArrayBuffer>): void {
    try {
      this.#channel.send(slice);
    } catch (cause) {
      this.#options.onFault(`The ${this.#options.name} lane takes no more: ${cause}`);
      throw new LinkClosedError(`The ${this.#options.name} lane takes no more`, { cause });
    }
    this.#bytesOut += slice.length;
  }

  async #drain(): Promise<void> {
    const { clock, signal, onFault } = this.#options;
    if (await waitUntilDrained(this.#channel, { clock, signal })) return;
    const reason = `The other side took too little for ${DRAIN_DEADLINE_MS / 1000} s`;
    onFault(reason);
    throw new LinkClosedError(reason);
  }

  #receive(data: unknown): void {
    const { signal, onBytes, onFault } = this.#options;
    if (signal.aborted) return;
    if (!(data instanceof ArrayBuffer)) return onFault("Text on a lane of frames");
    onBytes(data.byteLength);
    const message = new Uint8Array(data);
    if (!this.#unproven) return this.#assemble(message);
    this.#unproven.push(message);
    this.#unprovenBytes += message.length;
    if (this.#unprovenBytes > MAX_UNPROVEN_BYTES) onFault("Too many frames before the handshake");
  }

  #assemble(message: Uint8Array): void {
    const { signal, clock, onFrame, onFault } = this.#options;
    if (signal.aborted) return;
    this.#heardAtMs = clock.now();
    const assembly = this.#assembler.push(message);
    if (assembly.type === "frame") onFrame(assembly.frame);
    if (assembly.type === "fault") onFault(assembly.reason);
  }
}
