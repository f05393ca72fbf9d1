/**
 * Text WebSockets of Deno and Node: npm `ws`, since Deno's own client holds small frames back for
 * up to 44 ms.
 *
 * @module
 */
import WebSocket, { type ClientOptions, type RawData } from "ws";
import type { OpenTextSocket } from "./platform.ts";
import { MAX_BUFFERED_BYTES, MAX_TEXT_BYTES, unopenedSocket } from "./text_socket.ts";

/**
 * Certificates of `wss:` servers are not checked, so that a coordinator may sign its own: the server
 * is trusted with nothing. What passes through it is encrypted for the room and signed by its
 * sender; a wrong server can only drop it.
 */
const OPTIONS: ClientOptions & { readonly closeTimeout: number } = {
  rejectUnauthorized: false,
  maxPayload: MAX_TEXT_BYTES,
  perMessageDeflate: false,
  handshakeTimeout: 10_000,
  closeTimeout: 2_000,
};

/** Opens a WebSocket. Binary frames, frames above 1 MiB and a full send buffer close it. */
export const openTextSocket: OpenTextSocket = (url, handlers) => {
  let socket: WebSocket;
  try {
    socket = new WebSocket(url, OPTIONS);
  } catch (error) {
    return unopenedSocket(handlers, error);
  }
  let failure: string | null = null;
  const fail = (reason: string) => {
    failure ??= reason;
    socket.terminate();
  };
  socket.on("open", () => handlers.onOpen());
  socket.on("message", (text: RawData, isBinary) => {
    if (isBinary) return fail("The server sent a binary frame");
    if (failure === null) handlers.onMessage(text.toString());
  });
  socket.on("error", (error) => failure ??= error.message);
  socket.on("close", (code, reason) => {
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
