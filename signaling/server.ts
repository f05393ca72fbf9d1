/**
 * The protocol of y-webrtc's signaling server, with limits: clients subscribe to topics, and what
 * one publishes to a topic goes to all its subscribers, itself included, with their number. Has no
 * sockets and no clock of its own.
 *
 * @module
 */
import type { Clock } from "../src/platform/platform.ts";
import { type ConnectionContext, SignalingConnection, type SignalingSocket } from "./connection.ts";
import { SignalingCounters, type SignalingCounts } from "./counters.ts";
import { DEFAULT_LIMITS, type SignalingLimits } from "./limits.ts";
import { type AdmissionRefusal, closuresUnder } from "./refusal.ts";
import { type Slot, Slots } from "./slots.ts";
import { Topics } from "./topics.ts";
import { isOriginAllowed, networkOf, type Visitor } from "./visitor.ts";

/** How often deadlines are looked at; none is missed by more. */
const TICK_MS = 500;

/** Options of a signaling server. */
export interface SignalingServerOptions {
  readonly clock: Clock;
  /** Those that differ from DEFAULT_LIMITS. */
  readonly limits?: Partial<SignalingLimits>;
  /** Origins whose pages may connect, "self" for the server's own; without it, those of any. */
  readonly allowedOrigins?: readonly string[];
}

/** All clients and topics of one server. */
export class SignalingServer {
  readonly limits: SignalingLimits;
  readonly #allowedOrigins: readonly string[] | null;
  readonly #context: ConnectionContext;
  readonly #counters = new SignalingCounters();
  readonly #topics = new Topics<SignalingConnection>();
  /** All connections whose sockets are not gone yet. */
  readonly #connections = new Map<SignalingConnection, Slot>();
  readonly #slots = new Slots();
  readonly #emptied = Promise.withResolvers<void>();
  #isClosed = false;

  constructor({ clock, limits, allowedOrigins }: SignalingServerOptions) {
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    this.#allowedOrigins = allowedOrigins ?? null;
    this.#context = {
      ...{ clock, limits: this.limits, counters: this.#counters, topics: this.#topics },
      closures: closuresUnder(this.limits),
      onGone: (connection) => this.#forget(connection),
    };
  }

  /** Why a visitor may not connect; null when it may. */
  refusalOf(visitor: Visitor): AdmissionRefusal | null {
    const reason = this.#refusalOf(visitor);
    if (reason !== null) this.#counters.refused[reason]++;
    return reason;
  }

  /** Takes a visitor's socket, right after `refusalOf` had nothing against it. */
  connect(socket: SignalingSocket, visitor: Visitor): SignalingConnection {
    const connection = new SignalingConnection(this.#context, socket);
    this.#connections.set(connection, this.#slots.take(networkOf(visitor.address)));
    this.#counters.connected++;
    return connection;
  }

  /**
   * Keeps deadlines and pings until the signal says stop. Then takes no more connections, ends all,
   * and waits until their sockets are gone.
   */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const connection of this.#connections.keys()) connection.checkTime();
      this.#slots.sweep(this.#context.clock.now());
      await this.#context.clock.sleep(TICK_MS, signal).catch((error) => {
        if (!signal.aborted) throw error;
      });
    }
    this.#isClosed = true;
    for (const connection of this.#connections.keys()) {
      connection.close(1001, "The signaling server stops");
    }
    if (this.#connections.size > 0) await this.#emptied.promise;
  }

  /** What happened so far, and what is held now. */
  counts(): SignalingCounts {
    return this.#counters.snapshot({
      connections: this.#connections.size,
      topics: this.#topics.size,
    });
  }

  /** Throws when connections, topics and counts do not fit each other. */
  checkIntegrity(): void {
    for (const [connection, slot] of this.#connections) {
      assert(connection.isOpen || connection.topics.size === 0, "A closed connection has topics");
      assert(this.#slots.has(slot), `"${slot.network}" lacks a connection`);
      for (const topic of connection.topics) {
        assert(this.#topics.members(topic).has(connection), `"${topic}" lacks a subscriber`);
      }
    }
    assert(this.#slots.numInUse === this.#connections.size, "A connection that is gone is counted");
    for (const [topic, members] of this.#topics.entries()) {
      assert(members.size > 0, `"${topic}" has no members and is still held`);
      for (const member of members) {
        assert(
          this.#connections.has(member) && member.topics.has(topic),
          `"${topic}" has a member that left it`,
        );
      }
    }
  }

  #refusalOf(visitor: Visitor): AdmissionRefusal | null {
    if (this.#allowedOrigins && !isOriginAllowed(visitor, this.#allowedOrigins)) return "origin";
    if (this.#isClosed || this.#connections.size >= this.limits.connections) return "full";
    const num = this.#slots.count(networkOf(visitor.address), this.#context.clock.now());
    return num >= this.limits.connectionsPerAddress ? "address" : null;
  }

  #forget(connection: SignalingConnection): void {
    const slot = this.#connections.get(connection);
    if (!slot) return;
    this.#connections.delete(connection);
    if (this.#isClosed && this.#connections.size === 0) this.#emptied.resolve();
    slot.freeMs = this.#context.clock.now() + connection.refillMs;
  }
}

function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
