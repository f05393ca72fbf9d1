/** Rooms and links within a process, under any clock. */
import { aborted } from "../../src/mesh/aborted.ts";
import { type MemoryLinkPair, memoryLinkPair } from "../../src/mesh/memory_link.ts";
import { type Dial, Mesh } from "../../src/mesh/mesh.ts";
import type { PeerLink } from "../../src/mesh/peer_link.ts";
import type { Room, RoomListener, RoomMessage } from "../../src/mesh/room.ts";
import type { Clock } from "../../src/platform/platform.ts";

/** A signaling server and wires to everyone. */
export class FakeNet {
  /** Every link that was made, newest last. */
  readonly pairs: { readonly ids: readonly [string, string]; readonly pair: MemoryLinkPair }[] = [];
  readonly #clock: Clock;
  readonly #rooms = new Map<string, Set<RoomListener>>();
  readonly #ends = new Map<string, PeerLink>();
  #numPeers = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A new member of the room. */
  mesh(): Mesh {
    const peerId = (++this.#numPeers).toString(16).padStart(32, "0");
    return new Mesh({ room: this.#join(peerId), dial: this.#dialAs(peerId), clock: this.#clock });
  }

  /** Cuts every wire of a peer, without a goodbye. */
  cut(peerId: string): void {
    for (const { ids, pair } of this.pairs) if (ids.includes(peerId)) pair.isCut = true;
    this.#rooms.delete(peerId);
  }

  #join(peerId: string): Room {
    const listeners = new Set<RoomListener>();
    this.#rooms.set(peerId, listeners);
    return {
      peerId,
      isConnected: true,
      send: (to, message) => queueMicrotask(() => this.#deliver(peerId, to, message)),
      listen: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      close: () => this.#rooms.delete(peerId),
    };
  }

  #deliver(from: string, to: string | null, message: RoomMessage): void {
    for (const [peerId, listeners] of this.#rooms) {
      if (peerId === from || (to !== null && peerId !== to)) continue;
      for (const listener of [...listeners]) listener.onMessage?.({ from, message });
    }
  }

  #dialAs(peerId: string): Dial {
    return async ({ peerId: other, isInitiator, exchange, signal }) => {
      const { promise, resolve } = Promise.withResolvers<unknown>();
      const stop = exchange.listen(resolve);
      try {
        if (isInitiator) {
          const pair = memoryLinkPair({ clock: this.#clock, a: peerId, b: other });
          this.pairs.push({ ids: [peerId, other], pair });
          const key = `${peerId} ${other} ${this.pairs.length}`;
          this.#ends.set(key, pair.b);
          signal.addEventListener("abort", () => pair.a.close(signal.reason.message));
          exchange.send({ type: "offer", sdp: key });
          await Promise.race([promise, aborted(signal)]);
          return pair.a;
        }
        const { sdp } = await promise as { sdp: string };
        exchange.send({ type: "answer", sdp: "" });
        return this.#ends.get(sdp)!;
      } finally {
        stop();
      }
    };
  }
}
