/**
 * Text WebSockets of the browser.
 *
 * @module
 */
import type { OpenTextSocket } from "./platform.ts";
import { MAX_BUFFERED_BYTES, MAX_TEXT_BYTES, unopenedSocket } from "./text_socket.ts";

/** Opens a WebSocket. Binary frames, frames above 1 MiB and a full send buffer close it. */
export const openTextSocket: OpenTextSocket = (url, handlers) => {
  let socket: WebSocket;
  try {
    socket = new WebSocket(url);
  } catch (error) {
    // Among others a page of https: that dials ws:.
    return unopenedSocket(handlers, error);
  }
  let failure: string | null = null;
  const fail = (reason: string) => {
    failure ??= reason;
    socket.close();
  };
  socket.addEventListener("open", () => handlers.onOpen());
  socket.addEventListener("message", ({ data }) => {
    if (failure !== null) return;
    if (typeof data !== "string") return fail("The server sent a binary frame");
    if (isLonger(data, MAX_TEXT_BYTES)) return fail("The server sent a frame above 1 MiB");
    handlers.onMessage(data);
  });
  // Browsers keep from pages why a connection failed.
  socket.addEventListener("error", () => failure ??= "The server cannot be reached");
  socket.addEventListener("close", ({ code, reason }) => {
    handlers.onClose(failure ?? `The connection was closed (${code}${reason && ` "${reason}"`})`);
  });
  return {
    send(text) {
      if (socket.readyState !== WebSocket.OPEN) return;
      if (socket.bufferedAmount > MAX_BUFFERED_BYTES) return fail("The server reads too slowly");
      socket.send(text);
    },
    close: () => socket.close(),
  };
};

function isLonger(text: string, maxBytes: number): boolean {
  return text.length > maxBytes || new TextEncoder().encode(text).length > maxBytes;
}
