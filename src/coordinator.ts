/**
 * The role that answers HTTP: it opens a model, gives its layers to peers, owns the engine and the
 * text side.
 *
 * @module
 */
import { capacityOf, type CapacityOptions } from "./cluster/capacity.ts";
import { Cluster } from "./cluster/cluster.ts";
import { clusterStatus } from "./cluster/cluster_status.ts";
import { ManifestShelf } from "./cluster/manifest_shelf.ts";
import type { ClusterStatus, JoinInstructions } from "./cluster/status.ts";
import type { ModelConfig } from "./core.ts";
import { Engine } from "./engine.ts";
import type { Mesh } from "./mesh/mesh.ts";
import { readJson, readModelText } from "./model_text.ts";
import { architectureOf } from "./models/registry.ts";
import type { HiddenType } from "./pipeline/hidden_wire.ts";
import { RateMeter } from "./pipeline/rate_meter.ts";
import { warmUp } from "./pipeline/warm_up.ts";
import type { Clock, MeshCrypto, Rng } from "./platform/platform.ts";
import { readGenerationConfig } from "./server/generation_config.ts";
import type { ServerOptions } from "./server/options.ts";
import { createServer, type Server } from "./server/server.ts";
import { modelCosts } from "./stage/model_costs.ts";
import { ModelShare } from "./weights/model_share.ts";
import type { ModelSource } from "./weights/model_source.ts";

/** What a coordinator runs on. */
export interface CoordinatorOptions {
  /** Becomes the coordinator's own, once it has started. */
  readonly source: ModelSource;
  /** Where peers come from; links to those of this process are adopted by it. Stays the caller's. */
  readonly mesh: Mesh;
  readonly limits: CapacityOptions;
  readonly placement?: PlacementOptions;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly crypto: MeshCrypto;
  /** The wall clock's date, for chat templates and `created`. */
  readonly now: () => Date;
  readonly version: string;
  /** For the peers' owners. */
  readonly name: string;
  /** Peers of this process, for the status. */
  readonly localIds?: ReadonlySet<string>;
  /** Names beside the source's that requests may use. */
  readonly aliases?: readonly string[];
  /** How to join; null for a mesh that nobody can join. */
  readonly join?: () => JoinInstructions;
  /** What the HTTP side is given beside the engine. */
  readonly http?: Pick<
    ServerOptions,
    | "access"
    | "closing"
    | "corsOrigins"
    | "maxWaiting"
    | "page"
    | "requestTimeoutMs"
    | "sharePrefixCache"
  >;
  readonly onNotice?: (text: string) => void;
}

/** How layers are given out and computed. */
export interface PlacementOptions {
  /** Layers are given out only when this many peers are there; 1 unless given. */
  readonly minPeers?: number;
  /** Null leaves it to each device. */
  readonly isDeterministic?: boolean | null;
  readonly useF16Kv?: boolean | null;
  /** f32 unless given: the tokens of one machine, bit for bit. */
  readonly hiddenType?: HiddenType;
}

/** Requests are held this long while there is no pipeline. */
const STALL_MS = 30_000;
const WATCH_MS = 1_000;

/** A running coordinator. */
export interface Coordinator {
  readonly server: Server;
  readonly engine: Engine;
  readonly cluster: Cluster;
  readonly config: ModelConfig;
  status(): ClusterStatus;
  /** Ends all sequences and closes the source; the mesh stays the caller's. */
  close(): Promise<void>;
}

/** There has been no pipeline for too long. */
export class NoPipelineError extends Error {
  override readonly name = "NoPipelineError";
  readonly status = 503;
  readonly code = "no_pipeline";
}

/**
 * Opens the model for its peers and answers for it. Peers may come and go. Throws a
 * ModelConfigError, FormatError or TokenizerError that names the fix.
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const { source, mesh, clock, rng, crypto, version, name } = options;
  const placement = {
    minPeers: 1,
    isDeterministic: null,
    useF16Kv: null,
    hiddenType: "f32",
    ...options.placement,
  } as const;
  const text = await readModelText(source, options.now);
  const generation = readGenerationConfig(await readJson(source, "generation_config.json"));
  const architecture = architectureOf(source.hfConfig);
  const config = architecture.readConfig(source.hfConfig);
  const model = { architecture, config };
  const { limits, pool } = capacityOf(model, options.limits);
  const cluster = new Cluster({
    ...{ mesh, name, version, limits, pool, clock, rng, ...placement },
    model: { name: source.name, vocabSize: config.vocabSize },
    shelf: new ManifestShelf({ share: new ModelShare(source), model, crypto }),
    costs: modelCosts({ source, ...model, limits }),
    warmUp,
    onNotice: (notice) => options.onNotice?.(notice),
  });
  const engine = new Engine({
    pipeline: cluster,
    // Until a pipeline starts, what is wanted of it.
    scheduler: { ...limits, numBlocks: pool.wantedBlocks },
    vocabSize: config.vocabSize,
    clock,
  });
  const throughput = new RateMeter();
  const closing = new AbortController();
  cluster.isBusy = () => engine.stats().numRunning + engine.stats().numWaiting > 0;
  cluster.onPipeline = ({ numBlocks }) => void engine.restart({ numBlocks });
  watchStalls({ cluster, engine, clock, throughput }, closing.signal);
  const status = () =>
    clusterStatus(cluster, {
      coordinatorId: mesh.peerId,
      model: source.name,
      numLayers: config.numLayers,
      localIds: options.localIds ?? new Set(),
      stats: engine.stats(),
      tokensPerS: throughput.perSecond,
    });
  const server = createServer({
    engine,
    tokenizer: text.tokenizer,
    chatTemplate: text.chatTemplate.exists ? text.chatTemplate : null,
    model: {
      id: source.name,
      aliases: options.aliases ?? [],
      vocabSize: config.vocabSize,
      eosTokenIds: [
        ...new Set([
          ...generation.eosTokenIds,
          ...config.eosTokenIds,
          ...text.tokenizer.eosTokenIds,
        ]),
      ],
    },
    ...{ clock, rng, version },
    defaults: generation.defaults,
    dateMs: () => options.now().getTime(),
    isReady: () =>
      cluster.numStages > 0 || cluster.numStarts > 0 && cluster.condition.downMs < STALL_MS,
    whatIsMissing: () => cluster.condition.note,
    ...options.http,
    ...(options.join && {
      cluster: {
        status,
        onChange: (listener) => cluster.condition.onChange(listener),
        join: options.join,
      },
    }),
  });
  return {
    ...{ server, engine, cluster, config, status },
    close: async () => {
      closing.abort();
      cluster.close();
      await engine.close();
      await source.close();
    },
  };
}

/** Requests that wait for a pipeline in vain are ended with the reason. */
async function watchStalls(
  { cluster, engine, clock, throughput }: {
    readonly cluster: Cluster;
    readonly engine: Engine;
    readonly clock: Clock;
    readonly throughput: RateMeter;
  },
  signal: AbortSignal,
): Promise<void> {
  try {
    while (true) {
      await clock.sleep(WATCH_MS, signal);
      throughput.record(engine.stats().numGeneratedTokens, clock.now());
      if (cluster.condition.downMs < STALL_MS || !cluster.isBusy()) continue;
      engine.failAll(
        new NoPipelineError(
          `No peers hold the whole model for ${
            STALL_MS / 1000
          } s (${cluster.condition.note}): try again ` +
            "once they are back",
        ),
      );
    }
  } catch {
    // Closed.
  }
}
