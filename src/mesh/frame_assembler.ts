/**
 * Messages of one lane back to frames. Allocates a payload only once its header was checked.
 *
 * @module
 */
import {
  type Frame,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  isFrameIntact,
  parseFrameHeader,
} from "./frame.ts";

/** What a message brought: a complete frame, a part of one, or a reason to close the link. */
export type Assembly =
  | { readonly type: "frame"; readonly frame: Frame }
  | { readonly type: "part" }
  | { readonly type: "fault"; readonly reason: string };

const PART: Assembly = { type: "part" };

/** Takes the messages of one ordered lane. After a fault it takes no more. */
export class FrameAssembler {
  /** Largest payload that is accepted, in bytes. */
  maxPayloadBytes: number;
  #unfinished: UnfinishedFrame | null = null;
  #isFaulted = false;

  constructor(maxPayloadBytes: number) {
    this.maxPayloadBytes = maxPayloadBytes;
  }

  /** Whether the latest message left a frame incomplete. */
  get hasUnfinishedFrame(): boolean {
    return this.#unfinished !== null;
  }

  /** The next message. Its buffer becomes the payload of a frame that fits in it. */
  push(message: Uint8Array): Assembly {
    if (this.#isFaulted) return this.#fault("More messages after a fault");
    return this.#unfinished ? this.#continue(this.#unfinished, message) : this.#start(message);
  }

  #start(message: Uint8Array): Assembly {
    const header = parseFrameHeader(message);
    if (typeof header === "string") return this.#fault(header);
    const { lengthBytes } = header;
    if (lengthBytes > this.maxPayloadBytes) {
      return this.#fault(
        `Frame of ${lengthBytes} bytes, where at most ${this.maxPayloadBytes} are allowed`,
      );
    }
    const rest = message.subarray(FRAME_HEADER_BYTES);
    if (rest.length > lengthBytes) return this.#fault("Frame longer than its header says");
    if (rest.length === lengthBytes) return this.#finish(header, message, rest);
    if (rest.length === 0) return this.#fault("Frame without the start of its payload");
    const payload = new Uint8Array(lengthBytes);
    payload.set(rest);
    const headerBytes = message.slice(0, FRAME_HEADER_BYTES);
    this.#unfinished = { header, headerBytes, payload, numFilled: rest.length };
    return PART;
  }

  #continue(unfinished: UnfinishedFrame, message: Uint8Array): Assembly {
    const { header, headerBytes, payload, numFilled } = unfinished;
    if (message.length === 0) return this.#fault("Empty slice of a frame");
    if (message.length > payload.length - numFilled) {
      return this.#fault("Frame longer than its header says");
    }
    payload.set(message, numFilled);
    unfinished.numFilled += message.length;
    if (unfinished.numFilled < payload.length) return PART;
    this.#unfinished = null;
    return this.#finish(header, headerBytes, payload);
  }

  #finish(header: FrameHeader, headerBytes: Uint8Array, payload: Uint8Array): Assembly {
    if (!isFrameIntact(headerBytes, payload)) return this.#fault("Frame's checksum does not match");
    const { type, epoch, sequence, position, numTokens, dtype } = header;
    return { type: "frame", frame: { type, epoch, sequence, position, numTokens, dtype, payload } };
  }

  #fault(reason: string): Assembly {
    this.#isFaulted = true;
    this.#unfinished = null;
    return { type: "fault", reason };
  }
}

interface UnfinishedFrame {
  readonly header: FrameHeader;
  readonly headerBytes: Uint8Array;
  readonly payload: Uint8Array;
  numFilled: number;
}
