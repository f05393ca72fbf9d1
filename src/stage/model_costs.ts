import type { ModelConfig } from "../core.ts";
import { allocatedBytes } from "../gpu/buffer.ts";
import { kvBytes } from "../kernels/kv_cache.ts";
import type { Architecture, MatrixTensors, VectorTensors } from "../models/architecture.ts";
import { EMBEDDING_TENSOR, HEAD_TENSOR } from "../models/check_tensors.ts";
import { type ModelSource, requireTensor } from "../weights/model_source.ts";
import { bufferSizes } from "./buffer_sizes.ts";
import type { StageLimits } from "./stage_limits.ts";
import { planParts } from "./weight_plan.ts";

/** What the parts of a model take on a device, in bytes. */
export interface ModelCosts {
  readonly numLayers: number;
  /** Each layer's weights. */
  readonly layerBytes: readonly number[];
  /** K and V of one block in one layer, by the type of their elements. */
  readonly kvBlockBytes: { readonly f32: number; readonly f16: number };
  /** Buffers of any stage beside weights and KV. */
  readonly scratchBytes: number;
  readonly embeddingBytes: number;
  /** Final norm, output matrix (a tied model's too) and the buffers of sampling. */
  readonly headBytes: number;
  /** The head reuses the embedding's matrix where one peer holds both. */
  readonly isTied: boolean;
}

/** Adds up a model. Throws a FormatError for a tensor that is missing or cannot be read. */
export function modelCosts({ source, architecture, config, limits }: {
  readonly source: Pick<ModelSource, "name" | "tensors" | "unreadable">;
  readonly architecture: Architecture;
  readonly config: ModelConfig;
  /** The KV pool's size is left out of account. */
  readonly limits: Omit<StageLimits, "numBlocks">;
}): ModelCosts {
  const { numLayers, hiddenSize, isTied, numKvHeads, headDim } = config;
  const matrix = ({ names }: Pick<MatrixTensors, "names">) =>
    matrixBytes(names.map((name) => requireTensor(source, name)));
  const layers = Array.from({ length: numLayers }, (_, layer) => {
    const { matrices, vectors } = architecture.layerTensors(config, layer);
    return sum(Object.values(matrices).map(matrix)) + sum(Object.values(vectors).map(vectorBytes));
  });
  const { step, scratch, batch, head } = bufferSizes({ architecture, config, limits });
  const buffers = (sizes: Readonly<Record<string, number>>) =>
    sum(Object.values(sizes).map(allocatedBytes));
  return {
    numLayers,
    layerBytes: layers,
    kvBlockBytes: {
      f32: 2 * kvBytes({ numKvHeads, headDim, isF16: false }, 1),
      f16: 2 * kvBytes({ numKvHeads, headDim, isF16: true }, 1),
    },
    scratchBytes: allocatedBytes(step) + buffers(scratch) + buffers(batch),
    embeddingBytes: matrix({ names: [EMBEDDING_TENSOR] }),
    headBytes: vectorBytes({ length: hiddenSize }) +
      matrix({ names: [isTied ? EMBEDDING_TENSOR : HEAD_TENSOR] }) + buffers(head),
    isTied,
  };
}

/** As WeightLoader lays them out; a device with small bindings adds a few bytes a part. */
function matrixBytes(tensors: Parameters<typeof planParts>[0]): number {
  const { parts } = planParts(tensors, { maxBytes: Number.MAX_SAFE_INTEGER });
  return sum(parts.map(({ planes }) => allocatedBytes(sum(planes))));
}

/** Vectors are widened to f32. */
function vectorBytes({ length }: Pick<VectorTensors, "length">): number {
  return allocatedBytes(length * 4);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
