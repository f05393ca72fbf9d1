import type { SignalingConnection, SignalingSocket } from "../../signaling/connection.ts";
import type { SignalingServer } from "../../signaling/server.ts";

/** A socket that keeps what the server does to it. */
export class FakeSocket implements SignalingSocket {
  readonly sent: unknown[] = [];
  closure: { code: number; reason: string } | null = null;
  numPings = 0;
  isPaused = false;
  bufferedBytes = 0;
  /** The end of the socket; a client that does not listen keeps it from coming. */
  onClose = (): void => {};

  send(text: string): void {
    if (this.closure) throw new Error("Sent after the end");
    this.sent.push(JSON.parse(text));
  }

  close(code: number, reason: string): void {
    if (this.closure) throw new Error("Closed twice");
    this.closure = { code, reason };
    this.onClose();
  }

  ping(): void {
    this.numPings++;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }
}

/** A client of the server's, as a test plays it. */
export interface FakeClient {
  readonly socket: FakeSocket;
  readonly connection: SignalingConnection;
  /** Sends one message. */
  say(message: unknown): void;
}

let numAddresses = 0;

/** Connects; every client from an address of its own, unless one is given. */
export function connectFake(server: SignalingServer, address?: string): FakeClient {
  numAddresses++;
  const own = `10.${numAddresses >> 16 & 255}.${numAddresses >> 8 & 255}.${numAddresses & 255}`;
  const socket = new FakeSocket();
  const visitor = { address: address ?? own, origin: null, host: null };
  const connection = server.connect(socket, visitor);
  socket.onClose = () => connection.closed();
  return { socket, connection, say: (message) => connection.receive(JSON.stringify(message)) };
}

/** Connects and subscribes. */
export function joinFake(server: SignalingServer, ...topics: string[]): FakeClient {
  const client = connectFake(server);
  client.say({ type: "subscribe", topics });
  return client;
}
