import type { Lane } from "../../src/mesh/peer_link.ts";
import type { Kernel } from "./kernel.ts";
import { type LinkTap, SimLink } from "./link.ts";
import type { SimNode } from "./node.ts";
import type { SimRng } from "./rng.ts";
import { type LineQuality, SimWire } from "./wire.ts";

/** Who is at an end. */
export interface CableEnd {
  readonly peerId: string;
  readonly node: SimNode;
}

/** What a cable is made of. */
export interface CableOptions {
  readonly kernel: Kernel;
  readonly a: CableEnd;
  readonly b: CableEnd;
  readonly quality: LineQuality;
  readonly highWaterBytes: number;
  readonly rng: SimRng;
  readonly tap: LinkTap;
  /** Both ends are closed. */
  readonly onEnd: (cable: SimCable) => void;
}

export const CHANNELS = ["control", "hot", "bulk"] as const;
type Channel = Lane | "control";
type Wires = Readonly<Record<Channel, SimWire>>;

/** What lies between two ends: a wire each way for every channel. */
export class SimCable {
  readonly a: CableEnd;
  readonly b: CableEnd;
  /** As it is now; a fault may worsen it. */
  readonly quality: LineQuality;
  readonly usualQuality: LineQuality;
  readonly linkAtA: SimLink;
  /** Made when the other side answers. */
  readonly linkAtB: SimLink;
  /** The wires towards b, and those towards a. */
  readonly toB: Wires;
  readonly toA: Wires;
  readonly #options: CableOptions;

  constructor(options: CableOptions) {
    const { a, b, quality, highWaterBytes, tap } = options;
    this.#options = options;
    this.a = a;
    this.b = b;
    this.quality = { ...quality };
    this.usualQuality = quality;
    this.toB = this.#wires(b.node, "b");
    this.toA = this.#wires(a.node, "a");
    const onEnd = () => this.#end();
    const common = { highWaterBytes, tap, onEnd };
    this.linkAtA = new SimLink({
      ...{ peerId: b.peerId, ownId: a.peerId, node: a.node, wires: this.toB },
      ...common,
    });
    this.linkAtB = new SimLink({
      ...{ peerId: a.peerId, ownId: b.peerId, node: b.node, wires: this.toA },
      ...common,
    });
    this.linkAtA.connect(this.linkAtB);
    this.linkAtB.connect(this.linkAtA);
  }

  get isOpen(): boolean {
    return this.linkAtA.closedReason === null || this.linkAtB.closedReason === null;
  }

  joins(peerId: string): boolean {
    return this.a.peerId === peerId || this.b.peerId === peerId;
  }

  /** The wires that end at a peer, of all channels. */
  wiresTo(peerId: string): Wires {
    return peerId === this.b.peerId ? this.toB : this.toA;
  }

  /** Whatever is on its way is lost, and nobody is told. */
  cut(): void {
    for (const channel of CHANNELS) {
      this.toA[channel].cut();
      this.toB[channel].cut();
    }
  }

  #wires(receiver: SimNode, label: string): Wires {
    const { quality } = this;
    const { kernel, rng } = this.#options;
    const wire = (channel: Channel) =>
      new SimWire({ kernel, receiver, quality, rng: rng.fork(`${label} ${channel}`) });
    return { control: wire("control"), hot: wire("hot"), bulk: wire("bulk") };
  }

  #end(): void {
    const { linkAtA, linkAtB } = this;
    if (linkAtA?.closedReason === null || linkAtB?.closedReason === null) return;
    this.cut();
    this.#options.onEnd(this);
  }
}
