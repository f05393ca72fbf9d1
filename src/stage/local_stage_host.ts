import type { GpuContext } from "../gpu/context.ts";
import type { DeviceSpeed } from "../kernels/device_probe.ts";
import type { Tuning } from "../kernels/tuning.ts";
import { ModelConfigError } from "../models/config_reader.ts";
import { architectureOf } from "../models/registry.ts";
import type { Store } from "../platform/platform.ts";
import type { HttpOptions } from "../weights/http_range.ts";
import { openManifestModel } from "../weights/manifest_model.ts";
import type { ModelSource } from "../weights/model_source.ts";
import { ShardReader } from "../weights/shard_reader.ts";
import { HostedLocalStage } from "./hosted_local_stage.ts";
import { knownBatchProblem } from "./known_batch.ts";
import { KnownAnswerError } from "./known_answer_error.ts";
import { LocalStage } from "./local_stage.ts";
import type { DeviceReport, HostedStage, LoadRequest, LoadState, StageHost } from "./stage_host.ts";

/** What a LocalStageHost lends. */
export interface LocalStageHostOptions {
  /** Passed the kernel self-test. Stays its owner's to destroy. */
  readonly context: GpuContext;
  /** What holds where a request leaves the choice to the device. */
  readonly tuning: Tuning;
  readonly speed: DeviceSpeed;
  /** Where shards stay, for the next load; null keeps nothing. */
  readonly cache: Store | null;
  readonly http: Pick<HttpOptions, "fetch" | "clock">;
}

/** What a load goes by. */
type LoadMeans = Parameters<StageHost["load"]>[1];

/** The GPU of this process, lent. */
export class LocalStageHost implements StageHost {
  readonly device: DeviceReport;
  readonly lost: Promise<Error>;
  readonly #options: LocalStageHostOptions;
  /** Ends the load under way. */
  #loading: AbortController | null = null;
  #stage: HostedLocalStage | null = null;
  #isClosed = false;

  constructor(options: LocalStageHostOptions) {
    const { capabilities, lost } = options.context;
    this.#options = options;
    this.lost = lost;
    this.device = {
      adapterName: capabilities.adapterName,
      backend: capabilities.backend,
      isSoftware: capabilities.isSoftware,
      hasF16: capabilities.hasF16,
      subgroupSize: options.tuning.useSubgroups ? capabilities.subgroupSize : 0,
      maxBindingBytes: capabilities.maxBindingBytes,
      usesF16Kv: options.tuning.useF16Kv,
      ...options.speed,
    };
  }

  async load(request: LoadRequest, means: LoadMeans): Promise<HostedStage> {
    if (this.#isClosed) throw new Error("The device is no longer lent");
    if (this.#loading !== null || this.#stage?.isClosed === false) {
      throw new Error("The device holds a shard already: close it before the next is loaded");
    }
    const loading = new AbortController();
    this.#loading = loading;
    const { signal: outer } = means;
    const signal = outer ? AbortSignal.any([outer, loading.signal]) : loading.signal;
    try {
      return this.#stage = await this.#load(request, { ...means, signal });
    } finally {
      // Reads ahead of a load that failed are of no use.
      loading.abort(new Error("The load has ended"));
      this.#loading = null;
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#loading?.abort(new Error("The device is no longer lent"));
    this.#stage?.close();
  }

  async #load(
    { manifest, shard, limits, ...chosen }: LoadRequest,
    { readFromCoordinator, onProgress, signal }: LoadMeans & { readonly signal: AbortSignal },
  ): Promise<HostedLocalStage> {
    signal.throwIfAborted();
    const { context, cache, http } = this.#options;
    const architecture = architectureOf(manifest.hfConfig);
    const config = architecture.readConfig(manifest.hfConfig);
    checkShard(shard, config.numLayers);
    const reader = new ShardReader({
      ...{ manifest, cache, readFromCoordinator },
      http: { ...http, signal },
    });
    const progress = new Progress(manifest.tensors, reader);
    const tuning = tuningFor(this.#options.tuning, chosen);
    const stage = await LocalStage.load({
      ...{ context, tuning, architecture, config, shard, limits, signal },
      source: progress.watch(openManifestModel(manifest, {
        readRange: (tensor, range) => reader.read(tensor, range),
      })),
      onProgress: () => onProgress?.(progress.state),
    });
    try {
      await stage.checkWeights(signal);
      const { isDeterministic } = tuning;
      const problem = await knownBatchProblem(stage, { config, limits, isDeterministic });
      if (problem !== null) throw new KnownAnswerError(context, problem);
      signal.throwIfAborted();
    } catch (error) {
      stage.close();
      throw error;
    }
    return new HostedLocalStage(stage, progress.state);
  }
}

/** Counts what passes from a model to the device. */
class Progress {
  readonly #reader: ShardReader;
  readonly #totalBytes: number;
  #loadedBytes = 0;

  constructor(tensors: LoadRequest["manifest"]["tensors"], reader: ShardReader) {
    this.#reader = reader;
    this.#totalBytes = tensors.reduce((total, { byteLength }) => total + byteLength, 0);
  }

  get state(): LoadState {
    return {
      loadedBytes: this.#loadedBytes,
      totalBytes: this.#totalBytes,
      downloadedBytes: this.#reader.downloadedBytes,
    };
  }

  watch(source: ModelSource): ModelSource {
    return {
      ...source,
      readTensor: async (name, range) => {
        const bytes = await source.readTensor(name, range);
        this.#loadedBytes += bytes.length;
        return bytes;
      },
    };
  }
}

/** The host's choices, but for what the request chooses. */
function tuningFor(
  tuning: Tuning,
  { isDeterministic, useF16Kv }: Pick<LoadRequest, "isDeterministic" | "useF16Kv">,
): Tuning {
  return {
    ...tuning,
    ...(isDeterministic !== null && { isDeterministic }),
    ...(useF16Kv !== null && { useF16Kv }),
  };
}

/** Before anything is looked up for it. */
function checkShard({ startLayer, endLayer }: LoadRequest["shard"], numLayers: number): void {
  const isInside = Number.isInteger(startLayer) && Number.isInteger(endLayer) &&
    0 <= startLayer && startLayer < endLayer && endLayer <= numLayers;
  if (isInside) return;
  throw new ModelConfigError(
    `Layers [${startLayer}, ${endLayer}) are no part of a model of ${numLayers} layers`,
  );
}
