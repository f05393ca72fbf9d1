/**
 * An authenticated connection to one other peer: ordered control messages beside binary lanes.
 * RtcLink is one over WebRTC, MemoryLink one within a process.
 *
 * @module
 */
import type { Frame } from "./frame.ts";

/** Frames of one lane arrive in order; lanes do not wait for each other. */
export type Lane = "hot" | "bulk";

/** How a connection reaches the other side: directly, through a NAT, through TURN, in memory. */
export type CandidateType = "host" | "srflx" | "prflx" | "relay" | "memory" | "unknown";

/** What a link measured so far. */
export interface LinkStats {
  /** Round trip of the latest ping in ms; null before the first. */
  readonly rttMs: number | null;
  /** Of the local end. */
  readonly candidateType: CandidateType;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Bytes accepted by `sendFrame` that have not left yet. */
  readonly bufferedBytes: number;
}

/** What a link calls. A frame's payload belongs to whoever gets it. */
export interface LinkListener {
  /** Any JSON value that the other side sent: to be checked before use. */
  onControl?(message: unknown): void;
  onFrame?(frame: Frame): void;
  /** Once, last. `reason` is for people. */
  onClose?(reason: string): void;
}

/** One connection. */
export interface PeerLink {
  /** Id of the other peer, proven by its key. */
  readonly peerId: string;
  readonly stats: LinkStats;
  /** Null while the link is open, then why it is not. */
  readonly closedReason: string | null;
  /** Sends a JSON value. Does nothing on a closed link: the listener was told. */
  sendControl(message: unknown): void;
  /**
   * Resolves when the frame has been handed to the transport, which waits while too much is
   * buffered. Rejects with a LinkClosedError when the link closes first.
   */
  sendFrame(frame: Frame, lane: Lane): Promise<void>;
  /**
   * Adds a listener; returns how to remove it. What arrived before the first listener is delivered
   * to it.
   */
  listen(listener: LinkListener): () => void;
  /**
   * Largest payload that is taken from the other side, in bytes: what the plan allows. Larger
   * frames close the link. 64 KiB until set.
   */
  allowPayload(maxBytes: number): void;
  /** Tells the other side why, then closes. */
  close(reason: string): void;
}

/** The link closed before a frame was sent. */
export class LinkClosedError extends Error {
  override readonly name = "LinkClosedError";
}
