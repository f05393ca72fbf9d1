/**
 * What a signaling server refuses, and how it says so.
 *
 * @module
 */
import type { SignalingLimits } from "./limits.ts";

/** Why no connection is made: the page's origin, too many of one address, too many in all
 * or a server that stops. */
export type AdmissionRefusal = "origin" | "address" | "full";

/**
 * Why a connection is closed: nothing valid said in time, no pong, not a message of the protocol,
 * message too long, too many topics, a topic's name too long or empty, too many members of a topic,
 * too many messages, or does not read what it is sent.
 */
export type ClosingRefusal =
  | ("handshake" | "silent" | "malformed" | "frame")
  | ("topics" | "topic" | "members" | "rate" | "slow");

/** "unsubscribed": a message to a topic that its sender is not subscribed to; it is dropped. */
export type RefusalReason = AdmissionRefusal | ClosingRefusal | "unsubscribed";

/** HTTP status and text for those that are not let in. */
export const ADMISSION_REFUSALS = {
  origin: {
    status: 403,
    text: "Pages of this origin may not connect: start the server with --allow-origin ORIGIN",
  },
  address: { status: 429, text: "Too many connections from this address: close some" },
  full: { status: 503, text: "No more connections now: try again later" },
} as const satisfies Record<AdmissionRefusal, { status: number; text: string }>;

/** How a connection ends: a WebSocket close code, and a reason of at most 123 bytes. */
export interface Closure {
  readonly code: number;
  readonly text: string;
}

/** How connections end under these limits. */
export function closuresUnder(limits: SignalingLimits): Readonly<Record<ClosingRefusal, Closure>> {
  return {
    handshake: { code: 1008, text: `No valid message within ${limits.handshakeMs} ms` },
    silent: { code: 1008, text: `No pong within ${limits.pingMs} ms` },
    malformed: {
      code: 1007,
      text: "Send JSON text: subscribe, unsubscribe {topics}, publish {topic} or ping",
    },
    frame: { code: 1009, text: `Send at most ${limits.frameBytes} bytes in a message` },
    topics: { code: 1008, text: `Subscribe to at most ${limits.topicsPerConnection} topics` },
    topic: { code: 1008, text: `Use topics of 1 to ${limits.topicBytes} bytes` },
    members: { code: 1013, text: `The topic has ${limits.membersPerTopic} members: try later` },
    rate: { code: 1008, text: `Send at most ${limits.messagesPerS} messages in a second` },
    slow: { code: 1013, text: `Read faster: ${limits.bufferedBytes} bytes were waiting` },
  };
}
