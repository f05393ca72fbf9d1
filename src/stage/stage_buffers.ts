import type { ModelConfig, Shard } from "../core.ts";
import { BLOCK_SIZE } from "../core.ts";
import { allocate, type BufferRole, destroyAll, formatBytes } from "../gpu/buffer.ts";
import type { GpuContext } from "../gpu/context.ts";
import {
  type Architecture,
  type BatchBuffers,
  layerMemoryOf,
  operand,
} from "../models/architecture.ts";
import { type LayerCache, layerCache, layerMemoryBytes } from "../models/layer_memory.ts";
import { ropeAngles } from "../models/rope_angles.ts";
import type { BatchLayout } from "./batch_layout.ts";
import { bufferSizes, numStateSlots } from "./buffer_sizes.ts";
import { describeBinding, largestBuffer } from "./largest_buffer.ts";
import type { ScratchPlan } from "./scratch_plan.ts";
import type { StageLimits } from "./stage_limits.ts";

/** Buffers of the last stage; the first two are scratch of layers, too. */
export interface HeadBuffers {
  readonly normed: GPUBuffer;
  /** f32 [samples, vocabSize]. */
  readonly logits: GPUBuffer;
  readonly sampleParams: GPUBuffer;
  readonly penaltyRows: GPUBuffer;
  readonly penaltyEntries: GPUBuffer;
  /** u32 [samples]. */
  readonly tokens: GPUBuffer;
  /** u32 [maxSequences]: the newest token of each slot; of a stage that embeds it as well. */
  readonly lastTokens: GPUBuffer;
  /** Lists of pairs: slot to token row, row of logits to slot. */
  readonly takenTokens: GPUBuffer;
  readonly drawnTokens: GPUBuffer;
}

/** What a stage needs its buffers for. */
export interface StageBuffersRequest {
  readonly architecture: Architecture;
  readonly config: ModelConfig;
  readonly shard: Shard;
  readonly limits: StageLimits;
  readonly isF16Kv: boolean;
}

/** Every buffer of a stage but its weights, allocated once for the largest batch. */
export class StageBuffers {
  readonly step!: GPUBuffer;
  readonly hidden!: GPUBuffer;
  readonly angles!: GPUBuffer;
  /** Of layers with a window, if they turn by other angles. */
  readonly slidingAngles!: GPUBuffer | null;
  readonly batch!: BatchBuffers;
  readonly scratch!: Readonly<Record<string, GPUBuffer>>;
  /** By global layer number. */
  readonly caches!: ReadonlyMap<number, LayerCache>;
  readonly head!: HeadBuffers | null;
  /** List of pairs of blocks. */
  readonly blockCopies!: GPUBuffer;
  /** Lists of pairs of slots: before the layers, after them. */
  readonly stateRestores!: GPUBuffer;
  readonly stateSaves!: GPUBuffer;
  readonly #context: GpuContext;
  readonly #all: GPUBuffer[] = [];

  private constructor(context: GpuContext) {
    this.#context = context;
  }

  /**
   * Allocates all of them, or none: throws a GpuMemoryError. Throws a RangeError before that where
   * the limits make one larger than the device can bind.
   */
  static async create(context: GpuContext, request: StageBuffersRequest): Promise<StageBuffers> {
    requireBindings(context, request);
    const buffers = new StageBuffers(context);
    try {
      Object.assign(buffers, await buffers.#allocateAll(request));
      return buffers;
    } catch (error) {
      buffers.destroy();
      throw error;
    }
  }

  get allocatedBytes(): number {
    return this.#all.reduce((total, buffer) => total + buffer.size, 0);
  }

  /** Uploads what describes a batch; `hidden` is f32 [tokens, hiddenSize] from the stage before. */
  upload(layout: BatchLayout, hidden: Float32Array<ArrayBuffer> | null): void {
    const { shape } = layout;
    const step = [shape.numTokens, shape.numSamples, shape.numDecodeRows, shape.numTiles];
    this.write(this.step, Uint32Array.from(step));
    if (hidden !== null) this.write(this.hidden, hidden);
    else this.write(this.batch.tokenIds, layout.tokenIds);
    this.write(this.batch.tokenRows, layout.tokenRows);
    this.write(this.batch.blockTables, layout.blockTables);
    this.write(this.batch.decodeRows, layout.decodeRows);
    this.write(this.batch.tiles, layout.tiles);
    this.write(this.batch.sampleRows, layout.sampleRows);
    this.write(this.batch.slices, layout.slices);
    this.write(this.batch.chunks, layout.chunks);
    this.#writeList(this.blockCopies, layout.blockCopies);
    this.#writeList(this.stateRestores, layout.stateRestores);
    this.#writeList(this.stateSaves, layout.stateSaves);
    if (this.head === null) return;
    this.#writeList(this.head.takenTokens, layout.takenTokens);
    this.#writeList(this.head.drawnTokens, layout.drawnTokens);
  }

  /** Writes `values` at the start of `buffer`. */
  write(buffer: GPUBuffer, values: Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>): void {
    if (values.length > 0) this.#context.device.queue.writeBuffer(buffer, 0, values);
  }

  destroy(): void {
    destroyAll(this.#context, this.#all.splice(0));
  }

  /** A list without pairs is not read. */
  #writeList(buffer: GPUBuffer, list: Uint32Array<ArrayBuffer> | null): void {
    if (list !== null) this.write(buffer, list);
  }

  async #allocateAll(request: StageBuffersRequest) {
    const { config, shard, limits } = request;
    const sizes = bufferSizes({ ...request, hasHead: shard.hasHead });
    const { batch, head } = sizes;
    const scratch = await this.#allocateScratch(sizes.scratch);
    const angles = await this.#allocate("angles", batch.angles);
    this.write(angles, ropeAngles(config.rope, limits.maxModelLength));
    const slidingAngles = batch.slidingAngles === undefined
      ? null
      : await this.#allocate("angles of sliding layers", batch.slidingAngles);
    if (slidingAngles !== null && config.slidingRope !== null) {
      this.write(slidingAngles, ropeAngles(config.slidingRope, limits.maxModelLength));
    }
    return {
      step: await this.#allocate("step", sizes.step, "uniform"),
      hidden: await this.#allocate("hidden", batch.hidden),
      angles,
      slidingAngles,
      batch: {
        tokenIds: await this.#allocate("token ids", batch.tokenIds),
        tokenRows: await this.#allocate("token rows", batch.tokenRows),
        blockTables: await this.#allocate("block tables", batch.blockTables),
        maxBlocks: Math.ceil(limits.maxModelLength / BLOCK_SIZE),
        decodeRows: await this.#allocate("decode rows", batch.decodeRows),
        tiles: await this.#allocate("tiles", batch.tiles),
        sampleRows: await this.#allocate("sample rows", batch.sampleRows),
        slices: await this.#allocate("slices", batch.slices),
        chunks: await this.#allocate("chunks", batch.chunks),
      },
      scratch,
      blockCopies: await this.#allocate("block copies", batch.blockCopies),
      stateRestores: await this.#allocate("state restores", batch.stateRestores),
      stateSaves: await this.#allocate("state saves", batch.stateSaves),
      caches: await this.#allocateCaches(request),
      head: shard.hasHead
        ? {
          normed: operand(scratch, "headInput"),
          logits: operand(scratch, "logits"),
          sampleParams: await this.#allocate("sample params", head.sampleParams),
          penaltyRows: await this.#allocate("penalty rows", head.penaltyRows),
          penaltyEntries: await this.#allocate("penalty entries", head.penaltyEntries),
          tokens: await this.#allocate("tokens", head.tokens),
          lastTokens: await this.#allocate("last tokens", head.lastTokens),
          takenTokens: await this.#allocate("taken tokens", head.takenTokens),
          drawnTokens: await this.#allocate("drawn tokens", head.drawnTokens),
        }
        : null,
    };
  }

  async #allocateScratch({ sizes, places }: ScratchPlan): Promise<Record<string, GPUBuffer>> {
    const names = Object.keys(places);
    const scratch: Record<string, GPUBuffer> = {};
    for (const [index, sizeBytes] of sizes.entries()) {
      const sharing = names.filter((name) => places[name] === index);
      const buffer = await this.#allocate(sharing.join(" or "), sizeBytes);
      for (const name of sharing) scratch[name] = buffer;
    }
    return scratch;
  }

  async #allocateCaches(request: StageBuffersRequest): Promise<Map<number, LayerCache>> {
    const { architecture, config, shard, limits, isF16Kv } = request;
    const { numBlocks } = limits;
    const room = { isF16: isF16Kv, numBlocks, numSlots: numStateSlots(limits) };
    const caches = new Map<number, LayerCache>();
    for (let layer = shard.startLayer; layer < shard.endLayer; layer++) {
      const memory = layerMemoryOf({ architecture, config }, layer);
      const buffers: Record<string, GPUBuffer> = {};
      for (const [name, sizeBytes] of Object.entries(layerMemoryBytes(memory, room))) {
        requirePool(this.#context, { name, sizeBytes });
        buffers[name] = await this.#allocate(`${name} of layer ${layer}`, sizeBytes);
      }
      caches.set(layer, layerCache(memory, buffers, room));
    }
    return caches;
  }

  async #allocate(label: string, sizeBytes: number, role?: BufferRole): Promise<GPUBuffer> {
    const request = role === undefined ? { label, sizeBytes } : { label, sizeBytes, role };
    const buffer = await allocate(this.#context, request);
    this.#all.push(buffer);
    return buffer;
  }
}

function requireBindings({ capabilities }: GpuContext, request: StageBuffersRequest): void {
  const { adapterName: name, maxBindingBytes } = capabilities;
  const largest = largestBuffer({ ...request, hasHead: request.shard.hasHead });
  if (largest.sizeBytes <= maxBindingBytes) return;
  throw new RangeError(describeBinding(largest, { name, maxBindingBytes }));
}

/** Coordinators give no such pool. */
function requirePool(
  { capabilities: { maxBindingBytes } }: GpuContext,
  { name, sizeBytes }: { readonly name: string; readonly sizeBytes: number },
): void {
  if (sizeBytes <= maxBindingBytes) return;
  throw new RangeError(
    `The ${name} of a layer take ${formatBytes(sizeBytes)}, and the adapter binds ` +
      `${formatBytes(maxBindingBytes)}: use a smaller KV cache (--kv-tokens)`,
  );
}
