/**
 * What the runtimes' text WebSockets have in common.
 *
 * @module
 */
import type { TextSocket, TextSocketHandlers } from "./platform.ts";

/**
 * Longest text that is taken from a server, in UTF-8 bytes; a longer one closes the socket. Far above
 * the 64 KiB that a message may have: servers write messages anew, which can lengthen them (1e20
 * becomes 21 digits), and nobody shall cut others off by publishing such a one.
 */
export const MAX_TEXT_BYTES = 1024 * 1024;

/** A socket with more than this in its send buffer is closed: its server reads too slowly. */
export const MAX_BUFFERED_BYTES = 1024 * 1024;

/** A socket that could not even be dialled. `onClose` is called once the caller has it. */
export function unopenedSocket(handlers: TextSocketHandlers, error: unknown): TextSocket {
  const reason = error instanceof Error ? error.message : String(error);
  queueMicrotask(() => handlers.onClose(reason));
  return { send() {}, close() {} };
}
