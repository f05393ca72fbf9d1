import type { Batch, Shard } from "../../src/core.ts";
import type { HostedStage, LoadRequest, LoadState, StageHost } from "../../src/stage/stage_host.ts";
import type { StageOutput } from "../../src/stage/stage.ts";
import { HashChainStage } from "../pipeline/hash_chain.ts";
import { DrawnTokens } from "../pipeline/hash_memory.ts";
import { quickClock } from "./quick_clock.ts";

type LoadMeans = Parameters<StageHost["load"]>[1];

/** How a device misbehaves. */
export interface HashChainHostOptions {
  readonly hiddenSize: number;
  /** The model keeps states, as linear attention does; false if absent. */
  readonly hasState?: boolean;
  readonly readGBps?: number;
  readonly maxBindingBytes?: number;
  /** Called before a shard is loaded; may throw. */
  readonly onLoad?: (request: LoadRequest, means: LoadMeans) => void | Promise<void>;
  readonly onBatch?: (batch: Batch) => void;
  /** Virtual time of a step. */
  readonly stepMs?: number;
}

/** A device that runs the model without arithmetic, one hash chain for each layer. */
export class HashChainHost implements StageHost {
  readonly device;
  readonly lost: Promise<Error>;
  /** Makes the device be lost. */
  readonly lose: (error: Error) => void;
  readonly loads: LoadRequest[] = [];
  stage: LayeredStage | null = null;
  readonly #options: HashChainHostOptions;

  constructor(options: HashChainHostOptions) {
    this.#options = options;
    ({ promise: this.lost, resolve: this.lose } = Promise.withResolvers<Error>());
    this.device = {
      adapterName: "Hash chains",
      backend: "dawn",
      isSoftware: true,
      hasF16: false,
      subgroupSize: 0,
      maxBindingBytes: options.maxBindingBytes ?? 1 << 30,
      usesF16Kv: false,
      readGBps: options.readGBps ?? 1,
      matmulGflops: 1,
    } as const;
  }

  async load(
    request: LoadRequest,
    means: LoadMeans,
  ): Promise<HostedStage> {
    if (this.stage !== null && !this.stage.isClosed) throw new Error("The device is in use");
    await this.#options.onLoad?.(request, means);
    const { readFromCoordinator, signal } = means;
    let downloadedBytes = 0;
    for (const { file, offset, byteLength } of request.manifest.tensors) {
      signal?.throwIfAborted();
      const { key } = request.manifest.files[file]!;
      const bytes = await readFromCoordinator(key, { start: offset, end: offset + byteLength });
      downloadedBytes += bytes.length;
    }
    this.loads.push(request);
    const state = { loadedBytes: downloadedBytes, totalBytes: downloadedBytes, downloadedBytes };
    this.stage = new LayeredStage(request, { ...this.#options, state });
    return this.stage;
  }

  close(): void {
    this.stage?.close();
  }
}

const NOTHING_LOADED: LoadState = { loadedBytes: 0, totalBytes: 0, downloadedBytes: 0 };

/** Layers in a row. Hidden states are rows of `hiddenSize` whose first element carries the hash. */
export class LayeredStage implements HostedStage {
  readonly shard: Shard;
  readonly state: LoadState;
  readonly memoryBytes = 1000;
  isClosed = false;
  readonly #layers: readonly HashChainStage[];
  /** Here and not in the layers: where several share the stage, none both embeds and draws. */
  readonly #drawn = new DrawnTokens();
  #lastOutput: Promise<unknown> = Promise.resolve();
  readonly #options: HashChainHostOptions;

  constructor(
    { shard, limits }: Pick<LoadRequest, "shard" | "limits">,
    { state = NOTHING_LOADED, ...options }: HashChainHostOptions & { readonly state?: LoadState },
  ) {
    this.shard = shard;
    this.state = state;
    this.#options = options;
    const { startLayer, endLayer } = shard;
    this.#layers = Array.from({ length: endLayer - startLayer }, (_, i) => {
      const layer = startLayer + i;
      return new HashChainStage({
        stageIndex: layer,
        numBlocks: limits.numBlocks,
        hasState: options.hasState ?? false,
        shard: {
          startLayer: layer,
          endLayer: layer + 1,
          hasEmbedding: shard.hasEmbedding && i === 0,
          hasHead: shard.hasHead && layer === endLayer - 1,
        },
      });
    });
  }

  async forward(batch: Batch, hidden: Float32Array | null): Promise<StageOutput> {
    if (this.isClosed) throw new Error("The stage is closed");
    const { onBatch, stepMs } = this.#options;
    onBatch?.(batch);
    if (stepMs !== undefined) await quickClock.sleep(stepMs);
    // One batch after the other: a token may be taken from the one before.
    const output = this.#lastOutput.catch(() => {}).then(() => this.#run(batch, hidden));
    this.#lastOutput = output;
    return await output;
  }

  close(): void {
    this.isClosed = true;
    for (const layer of this.#layers) layer.close();
  }

  async #run(sent: Batch, hidden: Float32Array | null): Promise<StageOutput> {
    const { hiddenSize } = this.#options;
    const batch = this.#drawn.fillIn(sent);
    let input: Float32Array | null = hidden && hidden.filter((_, i) => i % hiddenSize === 0);
    let output: StageOutput = { type: "tokens", tokens: [] };
    for (const layer of this.#layers) {
      output = await layer.forward(batch, input);
      input = output.type === "hidden" ? output.values : null;
    }
    if (output.type === "tokens") {
      const drawing = batch.slices.filter(({ sample }) => sample !== undefined);
      for (const [i, { tokenId }] of output.tokens.entries()) {
        this.#drawn.keep(drawing[i]!, tokenId);
      }
      return output;
    }
    const values = new Float32Array(output.values.length * hiddenSize);
    output.values.forEach((value, row) => values[row * hiddenSize] = value);
    return { type: "hidden", values };
  }
}
