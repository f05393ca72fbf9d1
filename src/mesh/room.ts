/**
 * A room as its members see it: authenticated, encrypted messages between peers through a signaling
 * server that can neither read nor forge them.
 *
 * @module
 */

/** What peers say through the signaling server. */
export type RoomMessage =
  /** "I am here": to everyone, by peers that have no link to the coordinator yet. */
  | { readonly type: "announce"; readonly role: "coordinator" | "peer" }
  /** One step of setting up a connection; `dialId` tells attempts apart. */
  | { readonly type: "signal"; readonly dialId: string; readonly signal: unknown }
  /** "Do not dial me": why, for people. */
  | { readonly type: "refuse"; readonly dialId: string; readonly reason: string };

/** A message that was decrypted, whose sender is proven, and that was not seen before. */
export interface ReceivedRoomMessage {
  readonly from: string;
  readonly message: RoomMessage;
}

/** Membership of one room. */
export interface Room {
  /** Own peer id. */
  readonly peerId: string;
  /** True while the signaling server is connected. */
  readonly isConnected: boolean;
  /** Sends to one peer, or to everyone with `to` null. Lost while not connected. */
  send(to: string | null, message: RoomMessage): void;
  /** Adds a listener; returns how to remove it. */
  listen(listener: RoomListener): () => void;
  /** Leaves and stops reconnecting. */
  close(): void;
}

/** What a room calls. */
export interface RoomListener {
  onMessage?(received: ReceivedRoomMessage): void;
  /** Connected to the signaling server, for the first time or again. */
  onConnect?(): void;
  /** Lost the signaling server; reconnection is under way. */
  onDisconnect?(reason: string): void;
  /** A message was refused: why, for the log. */
  onRefused?(reason: string): void;
}
