import { Cluster } from "../../src/cluster/cluster.ts";
import type { Batch, TokenOutput } from "../../src/core.ts";
import { Engine } from "../../src/engine.ts";
import type { Mesh } from "../../src/mesh/mesh.ts";
import { placeEvenly } from "../../src/pipeline/place_evenly.ts";
import { PipelineLostError } from "../../src/pipeline/pipeline_lost_error.ts";
import { warmUp } from "../../src/pipeline/warm_up.ts";
import type { StageLimits } from "../../src/stage/stage_limits.ts";
import { VOCAB_SIZE } from "../pipeline/hash_chain.ts";
import { BatchWatch } from "./batch_watch.ts";
import { Client } from "./client.ts";
import { Faults } from "./faults.ts";
import { checkBuffer, checkLinks, checkStages } from "./invariants.ts";
import { InvariantError } from "./invariant_error.ts";
import { Kernel } from "./kernel.ts";
import type { SimLink } from "./link.ts";
import type { SimModel } from "./model.ts";
import { SimNet } from "./net.ts";
import { SimNode } from "./node.ts";
import type { OracleHost } from "./oracle_host.ts";
import type { PeerPlan, RequestPlan, WorldPlan } from "./plan.ts";
import { Reach } from "./reach.ts";
import { Reference } from "./reference.ts";
import { SimRng } from "./rng.ts";
import { SimPeer } from "./sim_peer.ts";
import { StepWatch } from "./step_watch.ts";
import { WorldTap } from "./taps.ts";

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
  /** Epochs whose pipeline was tried out. */
  readonly #warmedUp = new Set<number>();
  #limits: StageLimits;
  /** What each pool so far let a sequence grow to. */
  readonly #longestSequences = new Set<number>();
  #isEngineTouched = false;
  #isClusterTouched = true;
  #hasAnswered = false;
  #lastCachedBlocks = 0;
  /** Batches that left the engine. */
  numSteps = 0;
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
    this.#limits = { ...plan.limits, numBlocks: plan.pool.wantedBlocks };
    this.batches = new BatchWatch({ limits: () => this.#limits, reach: this.reach });
    this.cluster = this.#makeCluster();
    this.engine = new Engine({
      pipeline: this.#watchedPipeline(),
      scheduler: this.#limits,
      vocabSize: VOCAB_SIZE,
      clock: this.node,
    });
    this.#longestSequences.add(this.engine.maxModelLength);
    this.#connect();
    this.faults = new Faults(this);
    for (const peer of plan.peers) {
      kernel.schedule(peer.joinMs, null, () => void this.join(peer));
    }
    for (const request of plan.requests) {
      kernel.schedule(request.atMs, this.node, () => this.#ask(request));
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

  #makeCluster(): Cluster {
    const { plan, model, mesh, node, rng } = this;
    const limits = { ...plan.limits, numBlocks: plan.pool.wantedBlocks };
    const { evenStages } = plan;
    return new Cluster({
      mesh,
      name: "Simulation",
      version: "0",
      model: { name: "tiny", vocabSize: model.config.vocabSize },
      shelf: model.shelf,
      costs: model.costs(limits),
      limits: plan.limits,
      pool: plan.pool,
      isDeterministic: true,
      useF16Kv: null,
      hiddenType: "f32",
      minPeers: plan.minPeers,
      ...(evenStages !== null && { place: placeEvenly(evenStages) }),
      warmUp: async (pipeline, limits) => {
        const { epoch } = this.cluster;
        await warmUp({
          numStages: pipeline.numStages,
          forward: async (batch) => {
            const tokens = await this.steps.watchSend(batch, () => pipeline.forward(batch));
            this.guard(() => this.steps.checkAnswer(batch));
            return tokens;
          },
        }, limits);
        this.#warmedUp.add(epoch);
      },
      clock: node,
      rng: rng.fork("cluster"),
      onNotice: (text) => {
        this.kernel.trace(() => `c0: ${text}`);
        if (text.startsWith("The layers could not be given out")) {
          this.reach.count("path: start failed");
        }
      },
    });
  }

  /** As the coordinator connects them. */
  #connect(): void {
    const { cluster, engine, kernel } = this;
    cluster.isBusy = () => engine.stats().numRunning + engine.stats().numWaiting > 0;
    cluster.onPipeline = (limits) => {
      this.#limits = limits;
      kernel.note(`Pipeline ${cluster.epoch} of ${cluster.numStages} stages`);
      this.reach.count("path: pipeline started");
      this.reach.count(`stages: ${cluster.numStages}`);
      this.#hasAnswered = false;
      engine.restart({ numBlocks: limits.numBlocks })
        .then(() => this.#longestSequences.add(engine.maxModelLength))
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

  #watchedPipeline() {
    const { cluster } = this;
    return {
      get numStages() {
        return cluster.numStages;
      },
      forward: (batch: Batch) => this.#forward(batch),
    };
  }

  async #forward(batch: Batch): Promise<readonly TokenOutput[]> {
    const { cluster, engine, steps, batches } = this;
    this.guard(() => {
      checkStages(this, this.#warmedUp);
      const { numPreemptions, numFreeBlocks, numCachedBlocks } = engine.stats();
      this.#noteEviction(batch, { numFree: numFreeBlocks - numCachedBlocks, numCachedBlocks });
      const { epoch, numStages } = cluster;
      batches.takeBatch(batch, { epoch, numStages, numPreemptions });
    });
    this.numSteps++;
    this.#isEngineTouched = true;
    try {
      const tokens = await steps.watchSend(batch, () => cluster.forward(batch));
      this.#hasAnswered = true;
      this.guard(() => steps.checkAnswer(batch));
      batches.takeTokens(batch);
      return tokens;
    } catch (error) {
      this.#countFailure(batch, error);
      throw error;
    } finally {
      this.#isEngineTouched = true;
    }
  }

  /** Without free blocks, only eviction makes fewer of the cached ones; and a hit does. */
  #noteEviction(
    { slices }: Batch,
    { numFree, numCachedBlocks }: { readonly numFree: number; readonly numCachedBlocks: number },
  ): void {
    const isHit = slices.some(({ startPosition, takesDrawn, tokenIds }) =>
      startPosition > 0 && !takesDrawn && tokenIds.length > 1
    );
    if (numFree === 0 && numCachedBlocks < this.#lastCachedBlocks && !isHit) {
      this.reach.count("path: eviction");
    }
    this.#lastCachedBlocks = numCachedBlocks;
    for (const { stateMoves } of slices) {
      if (stateMoves?.restoreFrom !== undefined) this.reach.count("path: state restored");
      if (stateMoves?.saveTo !== undefined) this.reach.count("path: state saved");
    }
  }

  #countFailure({ slices }: Batch, error: unknown): void {
    if (!(error instanceof PipelineLostError)) return this.reach.count("path: step failed");
    this.reach.count("path: batch taken back");
    if (!this.#hasAnswered) this.reach.count("path: pipeline lost before its first answer");
    const isPrefill = slices.some(({ sample }) => sample === undefined);
    if (isPrefill) this.reach.count("path: pipeline lost in a prefill");
  }

  #ask(plan: RequestPlan): void {
    if (this.isClosing) return;
    const { engine, node, batches, reach, kernel } = this;
    const { limits, numLayers } = this.plan;
    const numSequences = () => {
      const { numRunning, numWaiting } = engine.stats();
      return numRunning + numWaiting;
    };
    const index = this.plan.requests.indexOf(plan);
    if (plan.isBurst) reach.count("client: burst");
    if (plan.readEveryMs > 0) reach.count("client: slow reader");
    const client = new Client({
      ...{ index, plan, engine, node },
      reference: new Reference({
        ...{ promptTokenIds: plan.promptTokenIds, sampling: plan.sampling, numLayers },
        // A small pool may end it earlier.
        maxModelLength: limits.maxModelLength,
        hasState: limits.numSavedStates > 0,
      }),
      isClosing: () => this.isClosing,
      fillsPool: (numTokens) => this.#longestSequences.has(numTokens),
      watchStart: (client, start) => {
        batches.watchStart(client, start, numSequences);
        this.#isEngineTouched = true;
      },
      onCancel: (client) => {
        reach.count(`client: cancel ${this.#stateOf(client)}`);
        kernel.note(`Request ${index} is cancelled`);
        this.#isEngineTouched = true;
      },
      onTokens: (_, { tokenIds }) => {
        kernel.note(`Request ${index} gets ${tokenIds}`);
        this.#isEngineTouched = true;
      },
      onEnd: ({ end, error }) => {
        reach.count(`end: ${end}`);
        kernel.note(`Request ${index} ends: ${end} ${error ?? ""}`);
        this.#isEngineTouched = true;
      },
    });
    this.clients.push(client);
    client.run().catch((error) => this.fail(error));
  }

  #stateOf(client: Client): string {
    if (this.cluster.numStages === 0) return "without a pipeline";
    if (!this.batches.hasRun(client)) return "while it waits";
    if (client.numTokens === 0) return "before the first token";
    return client.numTokens >= client.numExpected - 1 ? "at the last token" : "between tokens";
  }

  #takeStageBatch({ node }: OracleHost, batch: Batch): void {
    const peer = this.peers.findLast((peer) => peer.node === node);
    if (peer) this.guard(() => this.steps.takeStageBatch(peer, batch));
  }
}

function peerIdOf(number: number): string {
  return number.toString(16).padStart(32, "0");
}
