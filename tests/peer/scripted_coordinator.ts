import { ManifestShelf } from "../../src/cluster/manifest_shelf.ts";
import type { Shard } from "../../src/core.ts";
import { openGoldenCase } from "../../src/golden.ts";
import { type CoordinatorControl, type PeerControl, PROTOCOL } from "../../src/mesh/control.ts";
import { parsePeerControl } from "../../src/mesh/parse_control.ts";
import type { Mesh } from "../../src/mesh/mesh.ts";
import type { PeerLink } from "../../src/mesh/peer_link.ts";
import { WeightServing } from "../../src/mesh/weight_reads.ts";
import { architectureOf } from "../../src/models/registry.ts";
import { Peer, type PeerOptions } from "../../src/peer/peer.ts";
import { FileStore } from "../../src/platform/file_store.ts";
import { meshCrypto } from "../../src/platform/web_crypto.ts";
import { ModelShare } from "../../src/weights/model_share.ts";
import type { FakeNet } from "../cluster/fake_net.ts";
import { HashChainHost, type HashChainHostOptions } from "../cluster/hash_chain_host.ts";
import { quickClock } from "../cluster/quick_clock.ts";

const { source } = await openGoldenCase(new FileStore("tests/golden/llama"), "llama");
const architecture = architectureOf(source.hfConfig);
const config = architecture.readConfig(source.hfConfig);

export const WHOLE: Shard = { startLayer: 0, endLayer: 3, hasEmbedding: true, hasHead: true };

const LIMITS = {
  numBlocks: 64,
  maxModelLength: 200,
  maxBatchTokens: 32,
  maxSequences: 8,
  numSavedStates: 0,
  maxSamples: 8,
};

type LoadOrder = Extract<CoordinatorControl, { type: "load" }>;

export interface ScriptOptions {
  readonly protocol?: number;
  /** Dials and welcomes nobody by itself. */
  readonly isShy?: boolean;
  /** What is read in place of a file. */
  readonly readFile?: () => Promise<Uint8Array>;
}

/** A coordinator that does what the test says, and takes down what peers tell it. */
export class ScriptedCoordinator {
  readonly mesh: Mesh;
  /** By peer id, in order; without "stats" and "load-progress". */
  readonly heard = new Map<string, PeerControl[]>();
  numReads = 0;
  readonly #options: ScriptOptions;
  readonly #shelf = new ManifestShelf({
    ...{ share: new ModelShare(source), crypto: meshCrypto },
    model: { architecture, config },
  });

  constructor(net: FakeNet, options: ScriptOptions = {}) {
    this.#options = options;
    this.mesh = net.mesh();
    this.mesh.listen({
      onLink: (link) => this.#welcome(link),
      onAnnounce: (peerId) => {
        if (options.isShy !== true) this.mesh.connect(peerId).catch(() => {});
      },
    });
  }

  /** Tells a peer something. */
  tell(peer: Peer, message: CoordinatorControl): void {
    this.mesh.link(peer.view().peerId)!.sendControl(message);
  }

  /** Orders a shard. */
  async order(peer: Peer, epoch: number, change: Partial<LoadOrder> = {}): Promise<void> {
    const { manifestKey, manifestBytes } = await this.#shelf.manifest(change.shard ?? WHOLE);
    this.tell(peer, {
      ...{ type: "load", epoch, manifestKey, manifestBytes, shard: WHOLE, limits: LIMITS },
      ...{ isDeterministic: true, useF16Kv: null, hiddenType: "f32", previous: null, next: null },
      ...change,
    });
  }

  /** The next message of a type that was not asked for before. */
  async next<Type extends PeerControl["type"]>(
    peer: Peer,
    type: Type,
  ): Promise<Extract<PeerControl, { type: Type }>> {
    const { peerId } = peer.view();
    for (let i = 0; i < 400; i++) {
      const heard = this.heard.get(peerId) ?? [];
      const index = heard.findIndex((message) => message.type === type);
      if (index >= 0) return heard.splice(index, 1)[0] as Extract<PeerControl, { type: Type }>;
      await quickClock.sleep(100);
    }
    throw new Error(`The peer never said "${type}": it is ${JSON.stringify(peer.view())}`);
  }

  #welcome(link: PeerLink): void {
    const { readFile, protocol = PROTOCOL, isShy } = this.#options;
    const serving = new WeightServing(link, (key, range) => {
      this.numReads++;
      return readFile?.() ?? this.#shelf.readFile(key, range);
    });
    const heard = this.heard.get(link.peerId) ?? [];
    this.heard.set(link.peerId, heard);
    link.listen({
      onControl: (value) => {
        const message = parsePeerControl(value);
        if (message === null) throw new Error(`No message: ${JSON.stringify(value)}`);
        if (message.type === "read") serving.take(message);
        else if (message.type !== "stats" && message.type !== "load-progress") heard.push(message);
      },
    });
    if (isShy === true) return;
    link.sendControl({ type: "welcome", protocol, name: "Script", version: "0", model: "llama" });
  }
}

/** A peer with a device that runs hash chains. */
export function openPeer(
  net: FakeNet,
  { host: hostOptions, ...options }: Partial<Omit<PeerOptions, "host">> & {
    readonly host?: Partial<HashChainHostOptions>;
  } = {},
) {
  const mesh = net.mesh();
  const host = new HashChainHost({ hiddenSize: config.hiddenSize, ...hostOptions });
  const peer = new Peer({
    ...{ mesh, host, name: "Ada", version: "0", memoryBytes: 1 << 30, clock: quickClock },
    heldFiles: () => Promise.resolve([]),
    rng: { uint32: () => 1 << 31 >>> 0 },
    ...options,
  });
  return { peer, host, mesh };
}

/** Resolves when the peer's state is the wanted one. */
export async function untilState(peer: Peer, state: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = () => peer.view().state === state && resolve();
  const stop = peer.onChange(look);
  look();
  const late = quickClock.sleep(60_000).then(() => {
    throw new Error(`The peer is "${peer.view().state}", never "${state}"`);
  });
  await Promise.race([promise, late]).finally(stop);
}
