/**
 * A fetch handler and WebSocket handshakes on one port, over node:http, whose handshakes hand out
 * the raw socket.
 *
 * @module
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { respond } from "./http_exchange.ts";

/** Time for a client to send the headers of a request. */
const HEADERS_TIMEOUT_MS = 10_000;

/** More are turned away: a process that runs out of file descriptors never listens again. */
const MAX_CONNECTIONS = 800;

/** Options of `serveHttp`. */
export interface HttpServerOptions {
  readonly hostname: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Makes it https and wss. PEM. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Answers a request. Its signal aborts when the client hangs up. */
  handle(request: Request, remoteAddress: string): Response | Promise<Response>;
  /** Answers a WebSocket handshake; without it, handshakes are requests like others. */
  upgrade?(request: IncomingMessage, socket: Duplex, head: Uint8Array): void;
}

/** A server that listens. */
export interface HttpServer {
  readonly port: number;
  /** Takes no new connections and waits for the answers that are running, not for WebSockets. */
  shutdown(): Promise<void>;
  /** Ends every connection, WebSockets too. Waits until no handler runs. */
  close(): Promise<void>;
}

/** Listens. Rejects when it cannot. */
export async function serveHttp(options: HttpServerOptions): Promise<HttpServer> {
  const { hostname, port, tls, handle, upgrade } = options;
  const running = new Set<Promise<void>>();
  const sockets = new Set<Duplex>();
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    speaking(request.socket);
    if (!server.listening) response.setHeader("connection", "close");
    const done = respond({ request, response, protocol: tls ? "https" : "http", handle });
    running.add(done);
    void done.finally(() => running.delete(done));
  };
  const server: Server = tls
    ? createTlsServer({ ...tls, handshakeTimeout: HEADERS_TIMEOUT_MS }, onRequest)
    : createServer(onRequest);
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.maxConnections = MAX_CONNECTIONS;
  // Event streams and uploads may take their time.
  server.requestTimeout = 0;
  server.on("connection", (socket: Duplex) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on(tls ? "secureConnection" : "connection", (socket: Socket) => {
    socket.setTimeout(HEADERS_TIMEOUT_MS, () => socket.destroy());
  });
  server.on("clientError", (_, socket) => socket.destroy());
  if (upgrade) {
    server.on("upgrade", (request, socket, head) => {
      speaking(request.socket);
      socket.on("error", () => socket.destroy());
      upgrade(request, socket, head);
    });
  }
  await listen(server, { hostname, port });
  const shutdown = async () => {
    server.close();
    server.closeIdleConnections();
    while (running.size > 0) await Promise.all(running);
  };
  return {
    port: (server.address() as AddressInfo).port,
    shutdown,
    close: async () => {
      const done = shutdown();
      for (const socket of sockets) socket.destroy();
      await done;
    },
  };
}

function listen(
  server: Server,
  { hostname, port }: { hostname: string; port: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** `headersTimeout` alone (Deno 2.9.6) spares a client that sends nothing at all. */
function speaking(socket: Socket): void {
  socket.setTimeout(0);
}
