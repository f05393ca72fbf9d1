import type { Room, RoomListener, RoomMessage } from "../../src/mesh/room.ts";
import type { Kernel } from "./kernel.ts";
import type { SimNode } from "./node.ts";
import type { SimRng } from "./rng.ts";

interface Member {
  readonly peerId: string;
  readonly node: SimNode;
  readonly listeners: Set<RoomListener>;
  isConnected: boolean;
}

const DELAY_MS: readonly [number, number] = [2, 60];
/** After an outage everyone comes back within this time. */
const RECONNECT_MS = 2_000;

/** A signaling server with one room. */
export class SimSignaling {
  readonly #kernel: Kernel;
  readonly #rng: SimRng;
  readonly #members = new Map<string, Member>();
  /** When the last message from one member to another arrives: they keep their order. */
  readonly #lastDueMs = new Map<string, number>();
  #numOutages = 0;

  constructor(kernel: Kernel, rng: SimRng) {
    this.#kernel = kernel;
    this.#rng = rng;
  }

  join(peerId: string, node: SimNode): Room {
    const member: Member = {
      peerId,
      node,
      listeners: new Set(),
      isConnected: this.#numOutages === 0,
    };
    this.#members.set(peerId, member);
    return {
      peerId,
      get isConnected() {
        return member.isConnected;
      },
      send: (to, message) => this.#send(member, to, message),
      listen: (listener) => {
        member.listeners.add(listener);
        return () => member.listeners.delete(listener);
      },
      close: () => {
        member.isConnected = false;
        if (this.#members.get(peerId) === member) this.#members.delete(peerId);
      },
    };
  }

  /** Nobody reaches the server until as many calls of `comeBack`. */
  fail(): void {
    this.#numOutages++;
    for (const member of this.#members.values()) {
      if (!member.isConnected) continue;
      member.isConnected = false;
      this.#tell(member, 0, (listener) => listener.onDisconnect?.("The connection broke"));
    }
  }

  comeBack(): void {
    if (--this.#numOutages > 0) return;
    for (const member of this.#members.values()) {
      const waitMs = this.#rng.between(0, RECONNECT_MS);
      this.#kernel.schedule(waitMs, member.node, () => {
        if (this.#numOutages > 0 || member.isConnected || !this.#has(member)) return;
        member.isConnected = true;
        for (const listener of [...member.listeners]) listener.onConnect?.();
      });
    }
  }

  #has(member: Member): boolean {
    return this.#members.get(member.peerId) === member;
  }

  #send(from: Member, to: string | null, message: RoomMessage): void {
    if (!from.isConnected) return;
    // What crosses the network is a copy.
    const text = JSON.stringify(message);
    for (const member of this.#members.values()) {
      if (member === from || (to !== null && member.peerId !== to)) continue;
      const key = `${from.peerId} ${member.peerId}`;
      const dueMs = Math.max(
        (this.#lastDueMs.get(key) ?? 0) + 0.001,
        this.#kernel.nowMs + this.#rng.between(...DELAY_MS),
      );
      this.#lastDueMs.set(key, dueMs);
      const received = { from: from.peerId, message: JSON.parse(text) as RoomMessage };
      this.#tell(member, dueMs - this.#kernel.nowMs, (listener) => {
        if (member.isConnected) listener.onMessage?.(received);
      });
    }
  }

  #tell(member: Member, waitMs: number, call: (listener: RoomListener) => void): void {
    this.#kernel.schedule(waitMs, member.node, () => {
      for (const listener of [...member.listeners]) call(listener);
    });
  }
}
