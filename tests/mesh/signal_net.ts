import { aborted } from "../../src/mesh/aborted.ts";
import { type MemoryLinkPair, memoryLinkPair } from "../../src/mesh/memory_link.ts";
import { type Dial, Mesh, type MeshListener } from "../../src/mesh/mesh.ts";
import type { PeerLink } from "../../src/mesh/peer_link.ts";
import type { Room, RoomListener, RoomMessage } from "../../src/mesh/room.ts";
import { quickClock } from "../cluster/quick_clock.ts";
import { settle } from "../pipeline/hash_chain.ts";

/** A message on its way through the room. */
export interface Letter {
  readonly from: string;
  readonly to: string | null;
  readonly message: RoomMessage;
}

/** One member as a test sees it. */
export interface SignalMember {
  readonly mesh: Mesh;
  readonly notices: string[];
  /** Links in the order in which the mesh told of them. */
  readonly links: PeerLink[];
  /** Attempts as the mesh made them. */
  readonly dials: { readonly peerId: string; readonly isInitiator: boolean }[];
  /** Says something in the room. */
  say(to: string | null, message: RoomMessage): void;
}

/** A room whose messages the test delivers one by one, and links that take an offer and an answer. */
export class SignalNet {
  readonly letters: Letter[] = [];
  readonly pairs: MemoryLinkPair[] = [];
  readonly #listeners = new Map<string, RoomListener>();

  /** `isMute` makes a member that dials but never sends a signal. */
  join(name: string, { isMute = false } = {}): SignalMember {
    const peerId = name.padEnd(32, "0");
    const links: PeerLink[] = [];
    const dials: SignalMember["dials"] = [];
    const notices: string[] = [];
    const say = (to: string | null, message: RoomMessage) =>
      void this.letters.push({ from: peerId, to, message });
    const room: Room = {
      peerId,
      isConnected: true,
      send: say,
      listen: (listener) => {
        this.#listeners.set(peerId, listener);
        return () => this.#listeners.delete(peerId);
      },
      close: () => this.#listeners.delete(peerId),
    };
    const dial: Dial = (attempt) => {
      dials.push({ peerId: attempt.peerId, isInitiator: attempt.isInitiator });
      return isMute ? aborted(attempt.signal) : this.#dial(peerId, attempt);
    };
    const mesh = new Mesh({ room, dial, clock: quickClock });
    const listener: MeshListener = {
      onLink: (link) => void links.push(link),
      onNotice: (text) => void notices.push(text),
    };
    mesh.listen(listener);
    return { mesh, links, notices, dials, say };
  }

  /** Delivers one waiting message; false when none waits. */
  async deliver(index = 0): Promise<boolean> {
    // Of two messages from one member to another, the first arrives first.
    const wanted = this.letters[index % this.letters.length];
    const letter = this.letters.find(({ from, to }) => from === wanted?.from && to === wanted.to);
    if (letter === undefined) return false;
    this.letters.splice(this.letters.indexOf(letter), 1);
    const { from, to, message } = letter;
    for (const [peerId, listener] of [...this.#listeners]) {
      if (peerId === from || (to !== null && to !== peerId)) continue;
      listener.onMessage?.({ from, message: structuredClone(message) });
    }
    await settle();
    return true;
  }

  async deliverAll(): Promise<void> {
    await settle();
    while (await this.deliver());
  }

  async #dial(
    peerId: string,
    { peerId: other, isInitiator, exchange, signal }: Parameters<Dial>[0],
  ): Promise<PeerLink> {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const stop = exchange.listen(resolve);
    try {
      if (isInitiator) {
        const pair = memoryLinkPair({ clock: quickClock, a: peerId, b: other });
        const index = this.pairs.push(pair) - 1;
        signal.addEventListener("abort", () => pair.a.close(signal.reason.message));
        exchange.send({ type: "offer", sdp: String(index) });
        await Promise.race([promise, aborted(signal)]);
        return pair.a;
      }
      const { sdp } = await promise as { sdp: string };
      const { b } = this.pairs[Number(sdp)]!;
      exchange.send({ type: "answer", sdp });
      return b;
    } finally {
      stop();
    }
  }
}
