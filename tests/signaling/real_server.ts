// @ts-types="@types/ws"
import { type ClientOptions, WebSocket } from "ws";
import { serveHttp } from "../../signaling/http_server.ts";
import type { SignalingLimits } from "../../signaling/limits.ts";
import { SignalingServer } from "../../signaling/server.ts";
import { signalingEndpoint } from "../../signaling/socket_endpoint.ts";
import { realClock } from "../server/clocks.ts";

/** A signaling server on loopback, in this process. */
export interface RealServer {
  readonly server: SignalingServer;
  readonly port: number;
  readonly url: string;
  close(): Promise<void>;
}

/** Listens on a free port. */
export async function startRealServer(
  { limits = {}, allowedOrigins, path }: {
    limits?: Partial<SignalingLimits>;
    allowedOrigins?: readonly string[];
    path?: string;
  } = {},
): Promise<RealServer> {
  const server = new SignalingServer({
    ...{ clock: realClock, limits },
    ...(allowedOrigins ? { allowedOrigins } : {}),
  });
  const endpoint = signalingEndpoint(server, path === undefined ? {} : { path });
  const http = await serveHttp({
    ...{ hostname: "127.0.0.1", port: 0, upgrade: endpoint.upgrade },
    handle: (request) => endpoint.handle(request),
  });
  const stop = new AbortController();
  const done = server.run(stop.signal);
  return {
    ...{ server, port: http.port, url: `ws://127.0.0.1:${http.port}` },
    close: async () => {
      stop.abort();
      await done;
      await http.close();
    },
  };
}

/** A client's WebSocket, and what came over it. */
export class RealClient {
  readonly received: Record<string, unknown>[] = [];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly #socket: WebSocket;
  readonly #waiting: ((message: Record<string, unknown>) => void)[] = [];

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) =>
      socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() }))
    );
    socket.on("error", () => {});
    socket.on("message", (data) => {
      const message = JSON.parse(data.toString());
      const next = this.#waiting.shift();
      if (next) next(message);
      else this.received.push(message);
    });
  }

  /** Rejects when the server does not want it. */
  static async open(url: string, options: ClientOptions = {}): Promise<RealClient> {
    const socket = new WebSocket(url, { perMessageDeflate: false, ...options });
    const client = new RealClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.on("open", () => resolve());
      socket.on("error", reject);
    });
    return client;
  }

  say(message: unknown): void {
    this.send(JSON.stringify(message));
  }

  send(data: string | Uint8Array): void {
    this.#socket.send(data);
  }

  /** The next message that was not looked at yet. */
  next(): Promise<Record<string, unknown>> {
    const message = this.received.shift();
    return message
      ? Promise.resolve(message)
      : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Asks and waits for the pong: all that was sent before has been dealt with. */
  async settle(): Promise<void> {
    this.say({ type: "ping" });
    while ((await this.next()).type !== "pong");
  }

  close(): void {
    this.#socket.close();
  }
}

/** A WebSocket without its rules: the handshake is done, the rest is bytes. */
export async function openRawSocket(port: number, hello = ""): Promise<Deno.TcpConn> {
  const socket = await Deno.connect({ hostname: "127.0.0.1", port });
  await writeAll(socket, handshake());
  const answer = new Uint8Array(1024);
  const numBytes = await socket.read(answer) ?? 0;
  const text = new TextDecoder().decode(answer.subarray(0, numBytes));
  if (!text.startsWith("HTTP/1.1 101 ") || !text.endsWith("\r\n\r\n")) throw new Error(text);
  if (hello !== "") await writeAll(socket, frame(hello));
  return socket;
}

/** What a client says to open a WebSocket. */
export function handshake(): Uint8Array {
  return new TextEncoder().encode(
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
  );
}

/** Writes everything. Rejects when the other side hangs up. */
export async function writeAll(socket: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await socket.write(bytes.subarray(done));
}

/**
 * A frame as a client sends it, masked with zeros. `opcode` holds the flags too: 0x81 is a whole
 * text, 0x01 the start of one and 0x00 its next part.
 */
export function frame(text: string, opcode = 0x81): Uint8Array<ArrayBuffer> {
  const payload = new TextEncoder().encode(text);
  const header = frameHeader(payload.length, opcode);
  const bytes = new Uint8Array(header.length + payload.length);
  bytes.set(header);
  bytes.set(payload, header.length);
  return bytes;
}

/** The header of a frame with `numBytes` of payload. */
export function frameHeader(numBytes: number, opcode = 0x81): Uint8Array<ArrayBuffer> {
  const numLengthBytes = numBytes < 126 ? 0 : numBytes < 65_536 ? 2 : 8;
  const header = new Uint8Array(6 + numLengthBytes);
  header[0] = opcode;
  const view = new DataView(header.buffer);
  view.setUint8(1, 0x80 | (numLengthBytes === 0 ? numBytes : numLengthBytes === 2 ? 126 : 127));
  if (numLengthBytes === 2) view.setUint16(2, numBytes);
  if (numLengthBytes === 8) view.setBigUint64(2, BigInt(numBytes));
  return header;
}
