/**
 * What one client, one address and the whole server may use.
 *
 * @module
 */

/** Limits of a signaling server. */
export interface SignalingLimits {
  /** Longest message, in bytes of UTF-8. */
  readonly frameBytes: number;
  /** Longest name of a topic, in bytes of UTF-8. */
  readonly topicBytes: number;
  /** Topics that one connection may be subscribed to. */
  readonly topicsPerConnection: number;
  /** Connections that one topic may have. */
  readonly membersPerTopic: number;
  /** Messages that one connection may send in a second, over longer times. */
  readonly messagesPerS: number;
  /** Messages that it may send at once. */
  readonly burstMessages: number;
  /** Bytes that one connection may send in a second, over longer times. */
  readonly bytesPerS: number;
  /** Bytes that it may send at once. */
  readonly burstBytes: number;
  /** Messages beyond those that wait, unread, for their turn; one more closes the connection. */
  readonly waitingMessages: number;
  /** Connections of one address (of one /64 network with IPv6). */
  readonly connectionsPerAddress: number;
  readonly connections: number;
  /** Time until the first valid message. */
  readonly handshakeMs: number;
  /** Time between two pings; a connection that answers none within it is closed. */
  readonly pingMs: number;
  /** Bytes that may wait for a slow reader. */
  readonly bufferedBytes: number;
}

export const DEFAULT_LIMITS: SignalingLimits = {
  frameBytes: 64 * 1024,
  topicBytes: 128,
  topicsPerConnection: 64,
  membersPerTopic: 256,
  messagesPerS: 50,
  burstMessages: 100,
  bytesPerS: 256 * 1024,
  burstBytes: 1024 * 1024,
  waitingMessages: 100,
  connectionsPerAddress: 20,
  connections: 10_000,
  handshakeMs: 10_000,
  pingMs: 30_000,
  bufferedBytes: 1024 * 1024,
};
