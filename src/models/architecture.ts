/**
 * What one `model_type` has to say: how to read its config.json, which tensors a layer has, and
 * what a layer computes.
 *
 * @module
 */
import type { HfConfig, ModelConfig } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import type { Weight } from "../gpu/weight.ts";
import type { KernelContext } from "../kernels/context.ts";
import { kvMemory, type LayerCache, type LayerMemory } from "./layer_memory.ts";

/** One row of the registry. */
export interface Architecture {
  readonly modelType: string;
  /** Throws a ModelConfigError that names the field at fault. */
  readConfig(hf: HfConfig): ModelConfig;
  /** The tensors of decoder layer `layer`, which keeps its global number. */
  layerTensors(config: ModelConfig, layer: number): LayerTensors;
  /** What a layer keeps of the tokens it has seen: K and V of every head where left out. */
  layerMemory?(config: ModelConfig, layer: number): LayerMemory;
  /**
   * Columns of the f32 [tokens, columns] buffers between the kernels of each block. Blocks run one
   * after the other, and all layers have the same buffers: what a block leaves in them is lost.
   */
  scratchColumns(config: ModelConfig): readonly Readonly<Record<string, number>>[];
  /** One decoder layer: `run.hidden` is read and replaced. */
  decoderLayer(run: LayerRun): Dispatch[];
}

/** The operands of a layer: Hugging Face names of tensors, joined along the first dimension. */
export interface LayerTensors {
  /** [numRows, numCols] together, kept in their stored format. */
  readonly matrices: Readonly<Record<string, MatrixTensors>>;
  /** `length` elements together, widened to f32. */
  readonly vectors: Readonly<Record<string, VectorTensors>>;
}

/** Tensors [rows, numCols] that lie under each other. */
export interface MatrixTensors {
  readonly names: readonly string[];
  readonly numRows: number;
  readonly numCols: number;
  /** Rows of each, which add up to `numRows`; may be left out for one tensor. */
  readonly partRows?: readonly number[];
  /** Rows of an expert, which stay in one buffer, however small the device's bindings are. */
  readonly groupRows?: number;
  /** The one tensor is so many matrices, each transposed: [numTransposed, numCols, rows of each]. */
  readonly numTransposed?: number;
}

/** Tensors of one dimension, or with fixed further ones, end to end. */
export interface VectorTensors {
  readonly names: readonly string[];
  readonly length: number;
  /** Elements of each, which add up to `length`; may be left out for one tensor. */
  readonly partLengths?: readonly number[];
  /** Of the one tensor, where it has more dimensions. */
  readonly shape?: readonly number[];
}

/** The operands of one layer on the GPU, by the names of LayerTensors. */
export interface LayerWeights {
  readonly matrices: Readonly<Record<string, Weight>>;
  readonly vectors: Readonly<Record<string, GPUBuffer>>;
}

/** How many rows of each kind a batch has; what a recording is made for. */
export interface BatchShape {
  readonly numTokens: number;
  readonly numSamples: number;
  /** Rows for attention_decode. */
  readonly numDecodeRows: number;
  /** Query tiles for attention_prefill. */
  readonly numTiles: number;
  /** Sequences. */
  readonly numSlices: number;
  /** Chunks of long slices, for delta_solve. */
  readonly numChunks: number;
}

/** The buffers that describe a batch to the kernels. */
export interface BatchBuffers {
  /** u32 [tokens]. */
  readonly tokenIds: GPUBuffer;
  /** TokenRow [tokens]. */
  readonly tokenRows: GPUBuffer;
  /** u32 [sequences, maxBlocks]. */
  readonly blockTables: GPUBuffer;
  readonly maxBlocks: number;
  /** u32 [decode rows]: rows of the batch. */
  readonly decodeRows: GPUBuffer;
  /** vec4u [tiles]: first row, rows, position of first, sequence. */
  readonly tiles: GPUBuffer;
  /** u32 [samples]: rows of the batch. */
  readonly sampleRows: GPUBuffer;
  /** vec4u [slices]: first row, rows, position of first, slot of the state. */
  readonly slices: GPUBuffer;
  /** vec2u [chunks]: first row, rows. */
  readonly chunks: GPUBuffer;
}

/** Everything that a decoder layer works on. */
export interface LayerRun {
  readonly kernels: KernelContext;
  readonly config: ModelConfig;
  /** Global number of the layer. */
  readonly layer: number;
  readonly weights: LayerWeights;
  readonly cache: LayerCache;
  /** (cos, sin) of `ropeAngles`, for the layer's rope. */
  readonly angles: GPUBuffer;
  readonly shape: BatchShape;
  readonly batch: BatchBuffers;
  /** f32 [tokens, hiddenSize]: the residual stream. */
  readonly hidden: GPUBuffer;
  /** By the names of `scratchColumns`. */
  readonly scratch: Readonly<Record<string, GPUBuffer>>;
}

/** What a layer keeps: K and V, unless the architecture says otherwise. */
export function layerMemoryOf(
  { architecture, config }: {
    readonly architecture: Pick<Architecture, "layerMemory">;
    readonly config: ModelConfig;
  },
  layer: number,
): LayerMemory {
  return architecture.layerMemory?.(config, layer) ?? kvMemory(config);
}

/**
 * Bytes of the largest buffer of a layer's state of one sequence; 0 for a model without linear
 * attention, whose prefixes are of use wherever their blocks are.
 */
export function largestStateBytes(
  model: {
    readonly architecture: Pick<Architecture, "layerMemory">;
    readonly config: ModelConfig;
  },
): number {
  let largest = 0;
  for (let layer = 0; layer < model.config.numLayers; layer++) {
    const memory = layerMemoryOf(model, layer);
    if (memory.type !== "state") continue;
    largest = Math.max(largest, ...Object.values(memory.columns).map((columns) => 4 * columns));
  }
  return largest;
}

/** An operand that `layerTensors` or `scratchColumns` promised. */
export function operand<T>(operands: Readonly<Record<string, T>>, name: string): T {
  const found = operands[name];
  if (found === undefined) throw new Error(`Operand "${name}" was not prepared`);
  return found;
}
