import type { ModelConfig } from "../core.ts";
import { allocatedBytes } from "../gpu/buffer.ts";
import {
  type Architecture,
  layerMemoryOf,
  type MatrixTensors,
  type VectorTensors,
} from "../models/architecture.ts";
import { EMBEDDING_TENSOR, HEAD_TENSOR } from "../models/check_tensors.ts";
import { type LayerMemory, layerMemoryBytes } from "../models/layer_memory.ts";
import { type ModelSource, requireTensor } from "../weights/model_source.ts";
import { bufferBytes, numStateSlots } from "./buffer_sizes.ts";
import { type LargestBuffer, largestBuffer } from "./largest_buffer.ts";
import type { StageLimits } from "./stage_limits.ts";
import { type PartLimits, planParts } from "./weight_plan.ts";

/** What the parts of a model take on a device, in bytes. */
export interface ModelCosts {
  readonly numLayers: number;
  /** Each layer's weights. */
  readonly layerBytes: readonly number[];
  /** Of them, what one token reads: not those of experts that it has not chosen. */
  readonly layerReadBytes: readonly number[];
  /** What each layer keeps of its sequences. */
  readonly layerMemory: readonly LayerMemoryCosts[];
  /** Buffers of a stage beside weights and the memory of layers: of the last one, of any other. */
  readonly lastScratchBytes: number;
  readonly scratchBytes: number;
  readonly largestBuffer: LargestBuffer;
  readonly embeddingBytes: number;
  /** Final norm and output matrix (a tied model's too). */
  readonly headBytes: number;
  /** The head reuses the embedding's matrix where one peer holds both. */
  readonly isTied: boolean;
}

type MatrixLayout = Pick<MatrixTensors, "names" | "groupRows" | "numTransposed">;

/** Bytes by the type of the elements. */
export interface ElementBytes {
  readonly f32: number;
  readonly f16: number;
}

/** What one layer keeps of its sequences, in bytes. */
export interface LayerMemoryCosts {
  /** One block, of K and V or of latents; 0 for a layer that keeps only states. */
  readonly blockBytes: ElementBytes;
  /** Of it, what the largest buffer has: kernels bind each as a whole. */
  readonly largestBlockBytes: ElementBytes;
  /** States of all slots. */
  readonly stateBytes: number;
}

/** Adds up a model. Throws a FormatError for a tensor that is missing or cannot be read. */
export function modelCosts({ source, architecture, config, limits }: {
  readonly source: Pick<ModelSource, "name" | "tensors" | "unreadable">;
  readonly architecture: Architecture;
  readonly config: ModelConfig;
  /** The KV pool's size is left out of account. */
  readonly limits: Omit<StageLimits, "numBlocks">;
}): ModelCosts {
  const { numLayers, hiddenSize, isTied } = config;
  const matrix = ({ names, groupRows, numTransposed }: MatrixLayout) =>
    matrixBytes(names.map((name) => requireTensor(source, name)), { groupRows, numTransposed });
  const { numExperts = 1, numExpertsPerToken = 1 } = config.moe ?? {};
  const layers = Array.from({ length: numLayers }, (_, layer) => {
    const { matrices, vectors } = architecture.layerTensors(config, layer);
    const bytes = sum(Object.values(matrices).map(matrix)) +
      sum(Object.values(vectors).map(vectorBytes));
    const expertBytes = sum(Object.values(matrices).filter(isOfExperts).map(matrix));
    const readBytes = bytes - expertBytes * (1 - numExpertsPerToken / numExperts);
    const memory = layerMemoryOf({ architecture, config }, layer);
    return { bytes, readBytes, memory: layerMemoryCosts(memory, numStateSlots(limits)) };
  });
  const buffers = { architecture, config, limits };
  return {
    numLayers,
    layerBytes: layers.map(({ bytes }) => bytes),
    layerReadBytes: layers.map(({ readBytes }) => readBytes),
    layerMemory: layers.map(({ memory }) => memory),
    lastScratchBytes: bufferBytes({ ...buffers, hasHead: true }),
    scratchBytes: bufferBytes({ ...buffers, hasHead: false }),
    largestBuffer: largestBuffer({ ...buffers, hasHead: true }),
    embeddingBytes: matrix({ names: [EMBEDDING_TENSOR] }),
    headBytes: vectorBytes({ length: hiddenSize }) +
      matrix({ names: [isTied ? EMBEDDING_TENSOR : HEAD_TENSOR] }),
    isTied,
  };
}

/** What a layer keeps with room for `numSlots` states. */
export function layerMemoryCosts(memory: LayerMemory, numSlots: number): LayerMemoryCosts {
  const blockOf = (isF16: boolean) =>
    Object.values(layerMemoryBytes(memory, { isF16, numBlocks: 1, numSlots: 0 }));
  const states = layerMemoryBytes(memory, { isF16: false, numBlocks: 0, numSlots });
  return {
    blockBytes: { f32: sum(blockOf(false)), f16: sum(blockOf(true)) },
    largestBlockBytes: { f32: Math.max(...blockOf(false)), f16: Math.max(...blockOf(true)) },
    stateBytes: memory.type === "state" ? sum(Object.values(states).map(allocatedBytes)) : 0,
  };
}

/** As WeightLoader lays them out; a device with small bindings adds a few bytes a part. */
function matrixBytes(
  tensors: Parameters<typeof planParts>[0],
  layout: Omit<PartLimits, "maxBytes">,
): number {
  const { parts } = planParts(tensors, { maxBytes: Number.MAX_SAFE_INTEGER, ...layout });
  return sum(parts.map(({ planes }) => allocatedBytes(sum(planes))));
}

/** Only experts have rows that stay together. */
function isOfExperts({ groupRows }: MatrixLayout): boolean {
  return groupRows !== undefined;
}

/** Vectors are widened to f32. */
function vectorBytes({ length }: Pick<VectorTensors, "length">): number {
  return allocatedBytes(length * 4);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
