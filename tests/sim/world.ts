import type { Cluster } from "../../src/cluster/cluster.ts";
import type { Batch } from "../../src/core.ts";
import { Engine } from "../../src/engine.ts";
import type { Mesh } from "../../src/mesh/mesh.ts";
import type { StageLimits } from "../../src/stage/stage_limits.ts";
import { VOCAB_SIZE } from "../pipeline/hash_chain.ts";
import { BatchWatch } from "./batch_watch.ts";
import { ask } from "./ask.ts";
import type { Client } from "./client.ts";
import { Faults } from "./faults.ts";
import { checkBuffer, checkLinks } from "./invariants.ts";
import { InvariantError } from "./invariant_error.ts";
import { Kernel } from "./kernel.ts";
import type { SimLink } from "./link.ts";
import type { SimModel } from "./model.ts";
import { SimNet } from "./net.ts";
import { SimNode } from "./node.ts";
import type { OracleHost } from "./oracle_host.ts";
import type { PeerPlan, WorldPlan } from "./plan.ts";
import { Reach } from "./reach.ts";
import { SimRng } from "./rng.ts";
import { makeCluster } from "./sim_cluster.ts";
import { SimPeer } from "./sim_peer.ts";
import { StepWatch } from "./step_watch.ts";
import { WorldTap } from "./taps.ts";
import { WatchedPipeline } from "./watched_pipeline.ts";

/** What a world is made of. */
export interface WorldOptions {
  readonly plan: WorldPlan;
  readonly model: SimModel;
  readonly onTrace: ((line: string) => void) | null;
}

/** A coordinator, its peers and clients, and whoever looks on. */
export class World {
  readonly plan: WorldPlan;
  readonly model: SimModel;
  readonly kernel: Kernel;
  readonly rng: SimRng;
  readonly reach = new Reach();
  readonly tap: WorldTap;
  readonly net: SimNet;
  readonly node: SimNode;
  readonly coordinatorId = peerIdOf(0xc0);
  readonly steps = new StepWatch(this.coordinatorId);
  readonly batches: BatchWatch;
  readonly mesh: Mesh;
  readonly cluster: Cluster;
  readonly engine: Engine;
  readonly faults: Faults;
  /** All that ever were, oldest first; of one identity the latest is last. */
  readonly peers: SimPeer[] = [];
  readonly clients: Client[] = [];
  /** The first broken invariant; the run is over. */
  failure: InvariantError | null = null;
  isCalm = false;
  isClosing = false;
  /** The engine has nothing in flight any more. */
  hasClosed = false;
  /** Of the pipeline, or of the last one. */
  limits: StageLimits;
  /** What each pool so far let a sequence grow to. */
  readonly longestSequences = new Set<number>();
  readonly pipeline: WatchedPipeline;
  #isEngineTouched = false;
  #isClusterTouched = true;
  #numPeers = 0;

  constructor({ plan, model, onTrace }: WorldOptions) {
    this.plan = plan;
    this.model = model;
    this.rng = new SimRng(plan.seed, "world");
    this.kernel = new Kernel({ ties: plan.breaksTies ? this.rng.fork("ties") : null, onTrace });
    this.tap = new WorldTap(this, this.reach);
    const { kernel, rng, tap } = this;
    this.net = new SimNet({ kernel, plan: plan.net, rng: rng.fork("net"), tap });
    this.node = new SimNode("c0", kernel);
    this.mesh = this.net.join(this.coordinatorId, this.node);
    this.limits = { ...plan.limits, numBlocks: plan.pool.wantedBlocks };
    this.batches = new BatchWatch({ limits: () => this.limits, reach: this.reach });
    this.pipeline = new WatchedPipeline(this);
    this.cluster = makeCluster(this);
    this.engine = new Engine({
      pipeline: this.pipeline,
      scheduler: this.limits,
      vocabSize: VOCAB_SIZE,
      clock: this.node,
    });
    this.longestSequences.add(this.engine.maxModelLength);
    this.#connect();
    this.faults = new Faults(this);
    for (const peer of plan.peers) {
      kernel.schedule(peer.joinMs, null, () => void this.join(peer));
    }
    for (const request of plan.requests) {
      kernel.schedule(request.atMs, this.node, () => ask(this, request));
    }
    for (const fault of plan.faults) {
      kernel.schedule(fault.atMs, null, () => this.faults.fire(fault));
    }
  }

  /** Peers that are here or asleep, the latest of each identity. */
  get livePeers(): SimPeer[] {
    return this.peers.filter((peer) => !peer.isGone);
  }

  get hasEnded(): boolean {
    return this.clients.length === this.plan.requests.length &&
      this.clients.every(({ end }) => end !== null);
  }

  /** Counts up with every token that a client got and every request that ended. */
  get progress(): number {
    return this.clients.reduce(
      (sum, { numTokens, end }) => sum + numTokens + Number(end !== null),
      0,
    );
  }

  /** A peer joins, as one that was never here or in place of one that is dead. */
  join(plan: PeerPlan, peerId = peerIdOf(++this.#numPeers)): SimPeer {
    const { kernel, net, model } = this;
    const peer = new SimPeer({
      ...{ peerId, plan, kernel, net },
      rng: this.rng.fork(`peer ${peerId} ${this.peers.length}`),
      hiddenSize: model.config.hiddenSize,
      tap: { onStageBatch: (host, batch) => this.#takeStageBatch(host, batch) },
    });
    this.peers.push(peer);
    kernel.note(`${peer.node.name} joins`);
    return peer;
  }

  peerOf(peerId: string): SimPeer | null {
    return this.peers.findLast((peer) => peer.peerId === peerId) ?? null;
  }

  /** Of the latest order that a peer was given; null for one without. */
  epochOf(peerId: string): number | null {
    if (peerId === this.coordinatorId) return this.cluster.epoch;
    const epoch = this.peerOf(peerId)?.epoch ?? -1;
    return epoch < 0 ? null : epoch;
  }

  noteOrder(link: SimLink, epoch: number): void {
    const peer = this.peers.findLast(({ node }) => node === link.node);
    if (peer) peer.epoch = epoch;
  }

  /** A link has closed. */
  checkLink(link: SimLink): void {
    this.guard(() => checkBuffer(this, link));
    this.#isClusterTouched = true;
  }

  /** Something was asked of the engine, or it did something. */
  touchEngine(): void {
    this.#isEngineTouched = true;
  }

  /** Keeps the first. */
  fail(error: unknown): void {
    if (this.failure !== null) return;
    this.failure = error instanceof InvariantError
      ? error
      : new InvariantError("X", error instanceof Error ? error.stack ?? error.message : `${error}`);
    this.kernel.note(`Broken: ${this.failure.message}`);
  }

  /** Runs `run`, and takes what it throws for a broken invariant. */
  guard<T>(run: () => T): T | undefined {
    try {
      return run();
    } catch (error) {
      this.fail(error);
      return undefined;
    }
  }

  /** Everything that is cheap, after each event. */
  checkAfterEvent(): void {
    if (this.#isEngineTouched) {
      this.#isEngineTouched = false;
      try {
        this.engine.checkIntegrity();
      } catch (error) {
        this.fail(new InvariantError("S3", (error as Error).message));
      }
    }
    if (!this.#isClusterTouched) return;
    this.#isClusterTouched = false;
    this.guard(() => checkLinks(this));
  }

  /** As the coordinator connects them. */
  #connect(): void {
    const { cluster, engine, kernel } = this;
    cluster.isBusy = () => engine.stats().numRunning + engine.stats().numWaiting > 0;
    cluster.onPipeline = (limits) => {
      this.limits = limits;
      kernel.note(`Pipeline ${cluster.epoch} of ${cluster.numStages} stages`);
      this.reach.count("path: pipeline started");
      this.reach.count(`stages: ${cluster.numStages}`);
      this.pipeline.restart();
      engine.restart({ numBlocks: limits.numBlocks })
        .then(() => this.longestSequences.add(engine.maxModelLength))
        .catch((error) => this.fail(error));
      this.#isEngineTouched = true;
    };
    let lastNote: string | null = null;
    cluster.condition.onChange(() => {
      this.#isClusterTouched = true;
      const { note } = cluster.condition;
      if (note !== lastNote && note?.startsWith("A step did not come back")) {
        this.reach.count("path: step overdue");
      }
      lastNote = note;
    });
  }

  #takeStageBatch({ node }: OracleHost, batch: Batch): void {
    const peer = this.peers.findLast((peer) => peer.node === node);
    if (peer) this.guard(() => this.steps.takeStageBatch(peer, batch));
  }
}

function peerIdOf(number: number): string {
  return number.toString(16).padStart(32, "0");
}
