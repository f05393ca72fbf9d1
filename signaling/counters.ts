import type { RefusalReason } from "./refusal.ts";

/** What happened on a signaling server since it started, and what it holds now. */
export interface SignalingCounts {
  /** Open now, and those that are being closed. */
  readonly connections: number;
  /** Topics that have subscribers now. */
  readonly topics: number;
  /** Connections that were made. */
  readonly connected: number;
  /** Messages from clients, whatever became of them. */
  readonly received: number;
  /** Messages that had to wait for their sender's allowance. */
  readonly throttled: number;
  /** Messages that were passed on. */
  readonly published: number;
  /** Their copies to subscribers. */
  readonly delivered: number;
  readonly refused: Readonly<Record<RefusalReason, number>>;
}

/** Counts up. */
export class SignalingCounters {
  connected = 0;
  received = 0;
  throttled = 0;
  published = 0;
  delivered = 0;
  readonly refused: Record<RefusalReason, number> = {
    origin: 0,
    address: 0,
    full: 0,
    handshake: 0,
    silent: 0,
    malformed: 0,
    frame: 0,
    topics: 0,
    topic: 0,
    members: 0,
    rate: 0,
    slow: 0,
    unsubscribed: 0,
  };

  /** A copy, with what the server holds now. */
  snapshot(held: { connections: number; topics: number }): SignalingCounts {
    const { connected, received, throttled, published, delivered } = this;
    return {
      ...held,
      ...{ connected, received, throttled, published, delivered },
      refused: { ...this.refused },
    };
  }
}
