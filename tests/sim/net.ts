import { aborted } from "../../src/mesh/aborted.ts";
import { type Dial, Mesh } from "../../src/mesh/mesh.ts";
import { LinkClosedError, type PeerLink } from "../../src/mesh/peer_link.ts";
import { CHANNELS, SimCable } from "./cable.ts";
import type { Kernel } from "./kernel.ts";
import type { LinkTap, SimLink } from "./link.ts";
import type { SimNode } from "./node.ts";
import type { SimRng } from "./rng.ts";
import { SimSignaling } from "./signaling.ts";
import type { LineQuality } from "./wire.ts";

/** What a network is like when nothing is wrong. */
export interface NetPlan {
  /** One-way delays of cables are drawn from here. */
  readonly delayMs: readonly [number, number];
  readonly jitterMs: number;
  readonly highWaterBytes: number;
}

/** As dial_link.ts has it. */
const DIAL_DEADLINE_MS = 20_000;

/** A signaling server, and cables between whoever dials whom. */
export class SimNet {
  readonly signaling: SimSignaling;
  /** Those with an open end, oldest first. */
  readonly cables = new Set<SimCable>();
  readonly #kernel: Kernel;
  readonly #plan: NetPlan;
  readonly #rng: SimRng;
  readonly #tap: LinkTap;
  readonly #nodes = new Map<string, SimNode>();
  readonly #offered = new Map<string, SimCable>();
  /** How many faults keep messages from getting from one peer to another, by "from to". */
  readonly #partitions = new Map<string, number>();
  #numCables = 0;

  constructor({ kernel, plan, rng, tap }: {
    readonly kernel: Kernel;
    readonly plan: NetPlan;
    readonly rng: SimRng;
    readonly tap: LinkTap;
  }) {
    this.#kernel = kernel;
    this.#plan = plan;
    this.#rng = rng;
    this.#tap = tap;
    this.signaling = new SimSignaling(kernel, rng.fork("signaling"));
  }

  /** A member of the room; takes the place of an earlier one with the same id. */
  join(peerId: string, node: SimNode): Mesh {
    this.#nodes.set(peerId, node);
    const room = this.signaling.join(peerId, node);
    return new Mesh({ room, dial: this.#dialAs(peerId, node), clock: node });
  }

  /** The cables of a peer that are in use, oldest first. */
  cablesOf(peerId: string): SimCable[] {
    return [...this.cables].filter((cable) => cable.joins(peerId));
  }

  /** Nothing gets from one peer to the other until as many calls of `heal`. */
  part(from: string, to: string): void {
    this.#count(from, to, 1);
  }

  heal(from: string, to: string): void {
    this.#count(from, to, -1);
  }

  #count(from: string, to: string, change: number): void {
    const key = `${from} ${to}`;
    this.#partitions.set(key, (this.#partitions.get(key) ?? 0) + change);
    for (const cable of this.cablesOf(from)) {
      if (!cable.joins(to)) continue;
      const wires = cable.wiresTo(to);
      for (const channel of CHANNELS) {
        if (change > 0) wires[channel].block();
        else wires[channel].unblock();
      }
    }
  }

  #lay(a: string, b: string): SimCable {
    const [nodeA, nodeB] = [this.#nodes.get(a), this.#nodes.get(b)];
    if (nodeA === undefined || nodeB === undefined) throw new Error(`Nobody is "${b}"`);
    const rng = this.#rng.fork(`cable ${++this.#numCables}`);
    const { delayMs: [least, most], jitterMs, highWaterBytes } = this.#plan;
    const quality: LineQuality = {
      delayMs: rng.between(least, most),
      jitterMs,
      loss: 0,
      bytesPerMs: Infinity,
    };
    const cable = new SimCable({
      ...{ kernel: this.#kernel, quality, highWaterBytes, rng, tap: this.#tap },
      a: { peerId: a, node: nodeA },
      b: { peerId: b, node: nodeB },
      onEnd: (ended) => this.cables.delete(ended),
    });
    this.cables.add(cable);
    for (const [from, to] of [[a, b], [b, a]] as const) {
      for (let i = this.#partitions.get(`${from} ${to}`) ?? 0; i > 0; i--) {
        for (const channel of CHANNELS) cable.wiresTo(to)[channel].block();
      }
    }
    return cable;
  }

  /** As dialLink, without what it proves. */
  #dialAs(peerId: string, node: SimNode): Dial {
    return async ({ peerId: other, isInitiator, exchange, signal }) => {
      const attempt = new AbortController();
      const onAbort = () => attempt.abort(signal.reason);
      signal.addEventListener("abort", onAbort);
      const tooLate = new LinkClosedError(`No connection within ${DIAL_DEADLINE_MS / 1000} s`);
      node.sleep(DIAL_DEADLINE_MS, attempt.signal).then(() => attempt.abort(tooLate), () => {});
      const heard = Promise.withResolvers<unknown>();
      const stop = exchange.listen(heard.resolve);
      let link: SimLink | null = null;
      try {
        if (isInitiator) {
          const cable = this.#lay(peerId, other);
          const sdp = `${this.#numCables}`;
          this.#offered.set(sdp, cable);
          link = cable.linkAtA;
          exchange.send({ type: "offer", sdp });
        }
        const signalled = await Promise.race([heard.promise, aborted(attempt.signal)]);
        link ??= this.#answer(signalled, node);
        if (!isInitiator) exchange.send({ type: "answer", sdp: "" });
        await Promise.race([link.shakeHands(), aborted(attempt.signal)]);
      } catch (error) {
        link?.close(error instanceof Error ? error.message : String(error));
        throw error;
      } finally {
        stop();
        signal.removeEventListener("abort", onAbort);
        attempt.abort();
      }
      link.start();
      return link satisfies PeerLink;
    };
  }

  #answer(offer: unknown, node: SimNode): SimLink {
    const { sdp } = offer as { readonly sdp: string };
    const cable = this.#offered.get(sdp);
    this.#offered.delete(sdp);
    // An offer to the one who had this id before is of no use to anyone.
    if (cable?.b.node !== node) throw new LinkClosedError("The offer was for somebody else");
    return cable.linkAtB;
  }
}
