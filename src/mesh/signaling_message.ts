/**
 * Messages between a peer and a signaling server: y-webrtc's protocol (`bin/server.js` of y-webrtc
 * 10.3), JSON texts over a WebSocket. A server sends what is published on a topic to each of its
 * subscribers, the publisher among them.
 *
 * @module
 */
import { z } from "zod";

/** Longest text that is taken, in UTF-16 code units: the longest message that servers take. */
export const MAX_REPLY_LENGTH = 64 * 1024;

/** Longest text that is sent: servers add to it. It is ASCII. */
export const MAX_REQUEST_LENGTH = 63 * 1024;

/** One published message. All of it is untrusted: servers can change anything. */
export interface Publication {
  readonly topic: string;
  /** Id of the peer that claims to have sent it. */
  readonly from: string;
  /** Id of the peer that it is for; null when it is for everyone. */
  readonly to: string | null;
  readonly data: unknown;
}

/** What a peer says to a server. */
export type SignalingRequest =
  | { readonly type: "subscribe"; readonly topics: readonly string[] }
  | { readonly type: "ping" }
  | ({ readonly type: "publish" } & Publication);

/** What a server says to a peer. */
export type SignalingReply =
  | { readonly type: "pong" }
  | { readonly type: "publish"; readonly publication: Publication };

const MAX_NAME_LENGTH = 128;
const NAME = z.string().max(MAX_NAME_LENGTH);
const REPLY = z.discriminatedUnion("type", [
  z.object({ type: z.literal("pong") }),
  z.object({
    type: z.literal("publish"),
    topic: NAME,
    from: NAME,
    to: NAME.nullish(),
    data: z.unknown(),
  }),
]);

/** Reads what a server sent; null when it is not of this protocol or too long. */
export function parseSignalingReply(text: string): SignalingReply | null {
  if (text.length > MAX_REPLY_LENGTH) return null;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  const reply = REPLY.safeParse(json).data;
  if (reply?.type !== "publish") return reply ?? null;
  const { topic, from, to, data } = reply;
  return { type: "publish", publication: { topic, from, to: to ?? null, data } };
}
