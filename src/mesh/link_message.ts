/**
 * What the two ends of a link say on its control channel, as JSON text: the users' messages, and
 * the link's own.
 *
 * @module
 */
import { fromHex, toHex } from "./hex.ts";

/** Longest text on the control channel: what every WebRTC implementation takes in one message. */
export const MAX_MESSAGE_BYTES = 256 * 1024;

/** One message. */
export type LinkMessage =
  /** First: who I am, and what you must sign. */
  | { readonly type: "hello"; readonly publicKey: Bytes; readonly nonce: Bytes }
  /** Second: the key is mine, and this connection is ours. */
  | { readonly type: "proof"; readonly signature: Bytes }
  | { readonly type: "user"; readonly message: unknown }
  | { readonly type: "ping" | "pong"; readonly id: number }
  /** Last: why I leave, for people. */
  | { readonly type: "bye"; readonly reason: string };

type Bytes = Uint8Array<ArrayBuffer>;

/** Longest reason that is believed and shown. */
const MAX_REASON_LENGTH = 500;

/** @throws RangeError when a user's message is too long; TypeError when it is no JSON value. */
export function encodeLinkMessage(message: LinkMessage): string {
  const text = JSON.stringify(
    message,
    (_, value) => value instanceof Uint8Array ? toHex(value) : value,
  );
  // UTF-8 takes at most three bytes for each UTF-16 unit, so that most need not be measured.
  if (text.length * 3 > MAX_MESSAGE_BYTES) {
    const sizeBytes = new TextEncoder().encode(text).length;
    if (sizeBytes > MAX_MESSAGE_BYTES) {
      throw new RangeError(
        `Control message of ${sizeBytes} bytes, where at most ${MAX_MESSAGE_BYTES} are allowed: send it as frames`,
      );
    }
  }
  return text;
}

/** Null when the text is no message of a link. */
export function parseLinkMessage(text: unknown): LinkMessage | null {
  if (typeof text !== "string" || text.length > MAX_MESSAGE_BYTES) return null;
  let message: Partial<Record<string, unknown>>;
  try {
    message = Object(JSON.parse(text));
  } catch {
    return null;
  }
  switch (message["type"]) {
    case "hello": {
      const publicKey = fromHex(message["publicKey"], 32);
      const nonce = fromHex(message["nonce"], 32);
      return publicKey && nonce && { type: "hello", publicKey, nonce };
    }
    case "proof": {
      const signature = fromHex(message["signature"], 64);
      return signature && { type: "proof", signature };
    }
    case "user":
      return { type: "user", message: message["message"] ?? null };
    case "ping":
    case "pong": {
      const { type, id } = message;
      return typeof id === "number" ? { type, id } : null;
    }
    case "bye": {
      const { reason } = message;
      if (typeof reason !== "string") return null;
      return { type: "bye", reason: reason.slice(0, MAX_REASON_LENGTH) };
    }
    default:
      return null;
  }
}
