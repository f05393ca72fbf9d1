import type { ModelConfig, Shard } from "../core.ts";
import { aborted } from "../mesh/aborted.ts";
import { clipReason, type CoordinatorControl } from "../mesh/control.ts";
import type { Mesh } from "../mesh/mesh.ts";
import type { PeerLink } from "../mesh/peer_link.ts";
import { MAX_READ_BYTES, type WeightReads } from "../mesh/weight_reads.ts";
import { architectureOf } from "../models/registry.ts";
import { maxBatchBytes } from "../pipeline/batch_frame.ts";
import { type ServiceStats, StageService } from "../pipeline/stage_service.ts";
import type { Clock } from "../platform/platform.ts";
import type { HostedStage, LoadState, StageHost } from "../stage/stage_host.ts";
import { isOutOfMemory, shardMemoryBytes, ShardMemoryError } from "../stage/shard_memory.ts";
import { parseShardManifest } from "../weights/parse_shard_manifest.ts";
import type { ShardManifest } from "../weights/shard_manifest.ts";

/** A coordinator's order to hold a shard. */
export type LoadOrder = Extract<CoordinatorControl, { type: "load" }>;

/** What a holder works with. */
export interface ShardHolderOptions {
  readonly mesh: Mesh;
  readonly host: StageHost;
  readonly coordinator: PeerLink;
  readonly reads: WeightReads;
  readonly clock: Clock;
  /** Lent memory: a shard that takes more is refused, whoever orders it. */
  readonly memoryBytes: number;
  /** Resolves when the device is free. */
  readonly after: Promise<void>;
  readonly onChange: () => void;
}

/** The next stage's peer may still be busy with its own order. */
const NEIGHBOUR_DEADLINE_MS = 30_000;
/** Between two reports of how far a load is. */
const PROGRESS_MS = 200;

interface Held {
  /** What the shard was made from: an equal order takes it over. */
  readonly key: string;
  readonly stage: HostedStage;
  readonly config: ModelConfig;
}

/** Holds the shard that a coordinator wants, and serves it. */
export class ShardHolder {
  readonly #options: ShardHolderOptions;
  #order: LoadOrder | null = null;
  #held: Held | null = null;
  #service: StageService | null = null;
  /** To the links of the service. */
  readonly #stopListening: (() => void)[] = [];
  #load: LoadState | null = null;
  #failure: string | null = null;
  #loading = new AbortController();
  /** Resolves when the last order is done or given up. */
  #lastOrder: Promise<void>;

  constructor(options: ShardHolderOptions) {
    this.#options = options;
    this.#lastOrder = options.after;
  }

  /** The shard that is held or being loaded. */
  get shard(): Shard | null {
    return this.#order?.shard ?? null;
  }

  get load(): LoadState | null {
    return this.#load;
  }

  /** Why the last order could not be followed; null once one was. */
  get failure(): string | null {
    return this.#failure;
  }

  get isServing(): boolean {
    return this.#service !== null;
  }

  get stats(): ServiceStats | null {
    return this.#service?.stats ?? null;
  }

  /** Follows an order; one that is being followed is given up. Tells the coordinator the outcome. */
  take(order: LoadOrder): void {
    this.#stop("A newer order came");
    const loading = new AbortController();
    this.#loading = loading;
    this.#order = order;
    this.#lastOrder = this.#lastOrder.then(async () => {
      const { coordinator, onChange } = this.#options;
      const { epoch } = order;
      try {
        loading.signal.throwIfAborted();
        const { stage } = await this.#follow(order, loading.signal);
        loading.signal.throwIfAborted();
        const { state: load, memoryBytes } = stage;
        this.#failure = null;
        coordinator.sendControl({ type: "ready", epoch, load, memoryBytes });
      } catch (error) {
        if (loading.signal.aborted) return;
        this.#order = null;
        const reason = error instanceof Error ? error.message : String(error);
        this.#failure = clipReason(reason);
        coordinator.sendControl({
          ...{ type: "load-failed", epoch, reason: this.#failure },
          isOutOfMemory: isOutOfMemory(error),
          loadedBytes: this.#load?.loadedBytes ?? 0,
        });
      } finally {
        onChange();
      }
    });
    this.#options.onChange();
  }

  /** Gives up the shard and frees its memory. */
  async unload(reason: string): Promise<void> {
    this.#stop(reason);
    this.#order = null;
    this.#lastOrder = this.#lastOrder.then(() => this.#release());
    await this.#lastOrder;
    this.#options.onChange();
  }

  #stop(reason: string): void {
    this.#loading.abort(new Error(reason));
    this.#service?.close();
    this.#service = null;
    for (const stop of this.#stopListening.splice(0)) stop();
  }

  #release(): void {
    this.#held?.stage.close();
    this.#held = null;
    this.#load = null;
  }

  async #follow(order: LoadOrder, signal: AbortSignal): Promise<Held> {
    const { mesh, coordinator, clock } = this.#options;
    const { epoch, limits, previous, next, hiddenType } = order;
    const waiting = { withinMs: NEIGHBOUR_DEADLINE_MS, signal };
    const neighbours = Promise.all([
      previous === null ? coordinator : mesh.waitForLink(previous, waiting),
      next === null ? coordinator : mesh.connect(next),
    ]);
    // Its failure counts once the weights are there.
    neighbours.catch(() => {});
    const held = await this.#hold(order, signal);
    const [input, output] = await Promise.race([neighbours, aborted(signal)]);
    signal.throwIfAborted();
    input.allowPayload(Math.max(MAX_READ_BYTES, maxBatchBytes(limits, held.config)));
    this.#service = new StageService({
      ...{ epoch, limits, hiddenType, input, output, clock },
      stage: held.stage,
      hiddenSize: held.config.hiddenSize,
      onFailure: ({ stepId, reason }) =>
        coordinator.sendControl({ type: "step-failed", epoch, stepId, reason: clipReason(reason) }),
    });
    this.#watch([input, output], epoch);
    return held;
  }

  /** A neighbour that is gone is told, so that the layers are given out anew. */
  #watch(links: readonly PeerLink[], epoch: number): void {
    const { coordinator } = this.#options;
    for (const link of links) {
      if (link === coordinator) continue;
      const onClose = (reason: string) =>
        coordinator.sendControl({
          type: "stage-lost",
          epoch,
          reason: clipReason(`${link.peerId}: ${reason}`),
        });
      if (link.closedReason !== null) onClose(link.closedReason);
      else this.#stopListening.push(link.listen({ onClose }));
    }
  }

  /** The wanted stage: the one that is held if it is the same, else a new one in its place. */
  async #hold(order: LoadOrder, signal: AbortSignal): Promise<Held> {
    const { manifestKey, shard, limits, isDeterministic, useF16Kv } = order;
    const key = JSON.stringify([manifestKey, shard, limits, isDeterministic, useF16Kv]);
    if (this.#held?.key === key) return this.#held;
    this.#release();
    const { host, reads, clock, onChange } = this.#options;
    const manifest = await Promise.race([this.#readManifest(order), aborted(signal)]);
    const config = this.#check(order, manifest);
    let shownMs = -Infinity;
    const stage = await host.load(
      { manifest, shard, limits, isDeterministic, useF16Kv },
      {
        readFromCoordinator: (fileKey, range) => reads.read(fileKey, range),
        onProgress: (load) => {
          this.#load = load;
          const nowMs = clock.now();
          if (nowMs - shownMs < PROGRESS_MS) return;
          shownMs = nowMs;
          this.#options.coordinator.sendControl({
            type: "load-progress",
            epoch: order.epoch,
            load,
          });
          onChange();
        },
        signal,
      },
    );
    this.#held = { key, stage, config };
    this.#load = stage.state;
    return this.#held;
  }

  /** The model's configuration, if its shard is within what is lent. */
  #check(
    { shard, limits, useF16Kv }: LoadOrder,
    { hfConfig, tensors }: ShardManifest,
  ): ModelConfig {
    const architecture = architectureOf(hfConfig);
    const config = architecture.readConfig(hfConfig);
    const isF16Kv = useF16Kv ?? this.#options.host.device.usesF16Kv;
    const bytes = shardMemoryBytes({ tensors, architecture, config, shard, limits, isF16Kv });
    const { memoryBytes } = this.#options;
    if (bytes <= memoryBytes) return config;
    throw new ShardMemoryError(
      `Layers [${shard.startLayer}, ${shard.endLayer}) take ${bytes} bytes of memory, and ` +
        `${memoryBytes} are lent`,
    );
  }

  async #readManifest({ manifestKey, manifestBytes }: LoadOrder): Promise<ShardManifest> {
    const bytes = await this.#options.reads.read(manifestKey, { start: 0, end: manifestBytes });
    let value: unknown = null;
    try {
      value = JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      // No manifest, as below.
    }
    const manifest = parseShardManifest(value);
    if (manifest === null) throw new Error("The coordinator's list of tensors is damaged");
    return manifest;
  }
}
