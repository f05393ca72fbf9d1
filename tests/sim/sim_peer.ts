import type { Mesh } from "../../src/mesh/mesh.ts";
import { Peer } from "../../src/peer/peer.ts";
import { type HostTap, OracleHost } from "./oracle_host.ts";
import type { Kernel } from "./kernel.ts";
import type { SimNet } from "./net.ts";
import { SimNode } from "./node.ts";
import type { PeerPlan } from "./plan.ts";
import type { SimRng } from "./rng.ts";

/** Where a peer comes from. */
export interface SimPeerOptions {
  readonly peerId: string;
  readonly plan: PeerPlan;
  readonly kernel: Kernel;
  readonly net: SimNet;
  readonly rng: SimRng;
  readonly hiddenSize: number;
  readonly tap: HostTap;
}

/** A lent computer, from when it joins until it leaves or dies. */
export class SimPeer {
  readonly peerId: string;
  readonly plan: PeerPlan;
  readonly node: SimNode;
  readonly mesh: Mesh;
  readonly host: OracleHost;
  readonly peer: Peer;
  /** Of the latest order that it was given; -1 before the first. */
  epoch = -1;
  /** Ends the wedge. */
  unwedge: () => void = () => {};
  isPaused = false;
  /** Since when it has been asleep, dead or gone; null while it is here. */
  absentSinceMs: number | null = null;
  /** Since when it has held a stage that is in no pipeline. */
  idleSinceMs: number | null = null;

  constructor({ peerId, plan, kernel, net, rng, hiddenSize, tap }: SimPeerOptions) {
    this.peerId = peerId;
    this.plan = plan;
    this.node = new SimNode(peerId.slice(-2), kernel);
    this.mesh = net.join(peerId, this.node);
    this.host = new OracleHost({ plan: plan.device, hiddenSize, node: this.node, peerId, tap });
    this.peer = new Peer({
      mesh: this.mesh,
      host: this.host,
      name: `Peer ${this.node.name}`,
      version: "0",
      memoryBytes: plan.memoryBytes,
      heldFiles: () => Promise.resolve([]),
      clock: this.node,
      rng,
      onNotice: (text) => kernel.trace(() => `${this.node.name}: ${text}`),
    });
  }

  /** Gone for good, with or without a word. */
  get isGone(): boolean {
    const { state } = this.peer.view();
    return this.node.isDead || state === "left" || state === "refused";
  }
}
