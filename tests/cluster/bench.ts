import { Cluster, type ClusterOptions } from "../../src/cluster/cluster.ts";
import { ManifestShelf } from "../../src/cluster/manifest_shelf.ts";
import { DEFAULT_SAMPLING } from "../../src/core.ts";
import { Engine } from "../../src/engine.ts";
import { openGoldenCase } from "../../src/golden.ts";
import type { Mesh } from "../../src/mesh/mesh.ts";
import { architectureOf } from "../../src/models/registry.ts";
import { Peer } from "../../src/peer/peer.ts";
import { fixedPool } from "../../src/pipeline/kv_pool.ts";
import { type Layers, StageCosts } from "../../src/pipeline/stage_costs.ts";
import { warmUp } from "../../src/pipeline/warm_up.ts";
import { FileStore } from "../../src/platform/file_store.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";
import { modelCosts } from "../../src/stage/model_costs.ts";
import { ModelShare } from "../../src/weights/model_share.ts";
import { expectedOutput, VOCAB_SIZE } from "../pipeline/hash_chain.ts";
import { FakeNet } from "./fake_net.ts";
import { HashChainHost, type HashChainHostOptions } from "./hash_chain_host.ts";
import { quickClock } from "./quick_clock.ts";

const { source } = await openGoldenCase(new FileStore("tests/golden/llama"), "llama");
const architecture = architectureOf(source.hfConfig);
/** Its tensors are real, its arithmetic is not: so is its vocabulary. */
const config = { ...architecture.readConfig(source.hfConfig) };

const LIMITS = {
  numBlocks: 64,
  maxModelLength: 200,
  maxBatchTokens: 32,
  maxSequences: 8,
  numSavedStates: 0,
  maxSamples: 8,
};

/** What one more peer is like. */
export interface BenchPeerOptions extends Partial<HashChainHostOptions> {
  readonly memoryBytes?: number;
}

/** A peer of a bench. */
export interface BenchPeer {
  readonly peer: Peer;
  readonly host: HashChainHost;
  readonly mesh: Mesh;
}

/** A coordinator and its peers in one process, with a model of 3 layers. */
export class ClusterBench {
  readonly net = new FakeNet(quickClock);
  readonly notices: string[] = [];
  readonly sampling = { ...DEFAULT_SAMPLING, temperature: 0.75, seed: 5 };
  readonly cluster: Cluster;
  readonly engine: Engine;
  readonly #peers: BenchPeer[] = [];
  readonly #mesh = this.net.mesh();

  constructor(options: Partial<ClusterOptions> = {}) {
    const model = { architecture, config };
    const share = new ModelShare(source);
    this.cluster = new Cluster({
      mesh: this.#mesh,
      name: "Bench",
      version: "0",
      model: { name: "llama", vocabSize: config.vocabSize },
      shelf: new ManifestShelf({ share, model, crypto: meshCrypto }),
      costs: modelCosts({ source, ...model, limits: LIMITS }),
      limits: LIMITS,
      pool: fixedPool(LIMITS.numBlocks),
      isDeterministic: true,
      useF16Kv: null,
      hiddenType: "f32",
      minPeers: 1,
      warmUp,
      clock: quickClock,
      rng: { uint32: () => 200 },
      onNotice: (text) => this.notices.push(text),
      ...options,
    });
    this.engine = new Engine({
      pipeline: this.cluster,
      scheduler: LIMITS,
      vocabSize: VOCAB_SIZE,
      clock: quickClock,
    });
    this.cluster.isBusy = () => this.engine.stats().numRunning + this.engine.stats().numWaiting > 0;
    this.cluster.onPipeline = ({ numBlocks }) => void this.engine.restart({ numBlocks });
  }

  get costs() {
    return modelCosts({ source, architecture, config, limits: LIMITS });
  }

  /** What a stage takes with a pool of `numBlocks`. */
  stageBytes(layers: Layers, numBlocks = LIMITS.numBlocks): number {
    const costs = new StageCosts(this.costs, { peers: [], numBlocks });
    return costs.memoryBytes({ ...layers, usesF16Kv: false });
  }

  join({ memoryBytes = 1 << 30, ...host }: BenchPeerOptions = {}): BenchPeer {
    const mesh = this.net.mesh();
    const device = new HashChainHost({ hiddenSize: config.hiddenSize, ...host });
    const peer = new Peer({
      ...{ mesh, host: device, memoryBytes, clock: quickClock },
      name: `Peer ${this.#peers.length + 1}`,
      version: "0",
      heldFiles: () => Promise.resolve([]),
      rng: { uint32: () => 1 << 30 },
    });
    const joined = { peer, host: device, mesh };
    this.#peers.push(joined);
    return joined;
  }

  /** Resolves when `numStages` serve. */
  async serving(numStages: number): Promise<void> {
    await this.until(() =>
      this.cluster.condition.state === "serving" && this.cluster.numStages === numStages
    );
  }

  /** Resolves when `isTrue`, looked at whenever the cluster changes and now and then. */
  async until(isTrue: () => boolean): Promise<void> {
    for (let i = 0; i < 2_000; i++) {
      if (isTrue()) return;
      await quickClock.sleep(100);
    }
    throw new Error(
      `It never came to be: ${this.cluster.condition.state}, ${this.cluster.condition.note}`,
    );
  }

  /** What a generation gives, and what it must give. */
  async generate(prompt: readonly number[], maxTokens: number) {
    const sampling = { ...this.sampling, maxTokens };
    const tokenIds: number[] = [];
    for await (const event of this.engine.generate(prompt, sampling)) {
      tokenIds.push(...event.tokenIds);
    }
    const { maxModelLength } = this.engine;
    const expected = expectedOutput(prompt, { sampling, numStages: 3, maxModelLength });
    return { tokenIds, expected: expected.tokenIds };
  }

  async close(): Promise<void> {
    for (const { peer } of this.#peers) await peer.leave();
    this.cluster.close();
    await this.engine.close();
    this.#mesh.close("The test is over");
  }
}
