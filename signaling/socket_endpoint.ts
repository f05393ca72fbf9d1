/**
 * WebSockets for a signaling server, on a node:http server. Not on Deno.upgradeWebSocket: that one
 * (Deno 2.9.6) takes 64 MiB in a frame and has no bound on a message in fragments, whereas `ws`
 * refuses both by their headers.
 *
 * @module
 */
import type { IncomingMessage } from "node:http";
import { nextTick } from "node:process";
import type { Duplex } from "node:stream";
// @ts-types="@types/ws"
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws";
import type { SignalingSocket } from "./connection.ts";
import { ADMISSION_REFUSALS } from "./refusal.ts";
import type { SignalingServer } from "./server.ts";
import type { Visitor } from "./visitor.ts";

/** For the other side to answer a close frame; what it sends meanwhile is thrown away. */
const CLOSE_TIMEOUT_MS = 1000;

/** A message in more parts is refused: each part costs time and counts for nothing. */
const MAX_FRAGMENTS = 64;

/** `ws` knows `closeTimeout`, its types do not yet. */
interface SocketServerOptions extends ServerOptions {
  readonly closeTimeout: number;
}

/** Where a signaling server meets HTTP. */
export interface SignalingEndpoint {
  /** Answers requests that are not WebSocket handshakes, as y-webrtc's server does. */
  handle(request: Request): Response;
  /** Answers a WebSocket handshake: what an HTTP server's "upgrade" event brings. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void;
}

/** Lets clients reach `server` over WebSockets, on any path or only on the one that is given. */
export function signalingEndpoint(
  server: SignalingServer,
  { path }: { readonly path?: string } = {},
): SignalingEndpoint {
  const options: SocketServerOptions = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    autoPong: false,
    maxPayload: server.limits.frameBytes,
    maxFragments: MAX_FRAGMENTS,
    closeTimeout: CLOSE_TIMEOUT_MS,
  };
  const sockets = new WebSocketServer(options);
  return {
    handle: ({ method }) =>
      method === "GET" || method === "HEAD"
        ? new Response("okay")
        : new Response("Open a WebSocket here", { status: 405, headers: { allow: "GET, HEAD" } }),
    upgrade: (request, socket, head) => {
      if (path !== undefined && request.url?.split("?")[0] !== path) {
        return answer(socket, { status: 404, text: `Open WebSockets at "${path}"` });
      }
      const visitor = visitorOf(request);
      const refusal = server.refusalOf(visitor);
      if (refusal !== null) return answer(socket, ADMISSION_REFUSALS[refusal]);
      sockets.handleUpgrade(request, socket, Buffer.from(head), (webSocket) => {
        connect(webSocket, { server, visitor });
      });
    },
  };
}

function connect(
  webSocket: WebSocket,
  { server, visitor }: { server: SignalingServer; visitor: Visitor },
): void {
  const connection = server.connect(signalingSocket(webSocket), visitor);
  const hasEnded = () => {
    // Unread, it holds back a client that goes on sending until the time to close is over.
    if (!connection.isOpen) webSocket.pause();
    return !connection.isOpen;
  };
  webSocket.on("message", (data, isBinary) => {
    if (hasEnded()) return;
    if (isBinary) connection.refuse("malformed");
    else connection.receive(data.toString());
  });
  webSocket.on("ping", (payload) => {
    if (!hasEnded() && connection.receivePing()) webSocket.pong(payload);
  });
  webSocket.on("pong", () => {
    if (!hasEnded()) connection.receivePong();
  });
  webSocket.on("close", () => connection.closed());
  webSocket.on("error", (error: Error & { code?: string }) => {
    if (error.code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH") connection.refuse("frame");
    else if (error.code?.startsWith("WS_ERR_")) connection.refuse("malformed");
    else connection.closed();
    // `ws` goes on reading to throw it away; the turn after its own is the first to stop that.
    nextTick(() => webSocket.pause());
  });
}

function signalingSocket(webSocket: WebSocket): SignalingSocket {
  return {
    send: (text) => webSocket.send(text, ignoreResult),
    close: (code, reason) => webSocket.close(code, reason),
    ping: () => webSocket.ping(undefined, undefined, ignoreResult),
    pause: () => webSocket.pause(),
    resume: () => webSocket.resume(),
    get bufferedBytes() {
      return webSocket.bufferedAmount;
    },
  };
}

/** A failed send ends the socket, which then says so itself. */
function ignoreResult(): void {}

function visitorOf(request: IncomingMessage): Visitor {
  return {
    address: request.socket.remoteAddress ?? "",
    origin: request.headers.origin ?? null,
    host: request.headers.host ?? null,
  };
}

function answer(socket: Duplex, { status, text }: { status: number; text: string }): void {
  socket.once("finish", () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Type: text/plain\r\n` +
      `Content-Length: ${text.length}\r\n\r\n${text}`,
  );
}
