import type { ModelConfig, Shard } from "../core.ts";
import type { Weight } from "../gpu/weight.ts";
import type { Architecture, LayerWeights } from "../models/architecture.ts";
import { EMBEDDING_TENSOR, FINAL_NORM_TENSOR, HEAD_TENSOR } from "../models/check_tensors.ts";
import type { WeightLoader } from "./weight_loader.ts";

/** The weights of one shard on the device. */
export interface StageWeights {
  readonly embedding: Weight | null;
  /** By global layer number. */
  readonly layers: ReadonlyMap<number, LayerWeights>;
  readonly finalNorm: GPUBuffer | null;
  readonly head: Weight | null;
}

/** Loads the tensors of `shard` and no others. Throws what WeightLoader throws. */
export async function loadStageWeights(
  loader: WeightLoader,
  model: {
    readonly architecture: Architecture;
    readonly config: ModelConfig;
    readonly shard: Shard;
  },
): Promise<StageWeights> {
  const { architecture, config, shard } = model;
  const vocabulary = { numRows: config.vocabSize, numCols: config.hiddenSize };
  const embedding = shard.hasEmbedding
    ? await loader.matrix({ names: [EMBEDDING_TENSOR], ...vocabulary })
    : null;
  const layers = new Map<number, LayerWeights>();
  for (let layer = shard.startLayer; layer < shard.endLayer; layer++) {
    const tensors = architecture.layerTensors(config, layer);
    const matrices: Record<string, Weight> = {};
    const vectors: Record<string, GPUBuffer> = {};
    for (const [name, matrix] of Object.entries(tensors.matrices)) {
      matrices[name] = await loader.matrix(matrix);
    }
    for (const [name, vector] of Object.entries(tensors.vectors)) {
      vectors[name] = await loader.vector(vector);
    }
    layers.set(layer, { matrices, vectors });
  }
  if (!shard.hasHead) return { embedding, layers, finalNorm: null, head: null };
  const finalNorm = await loader.vector({ names: [FINAL_NORM_TENSOR], length: config.hiddenSize });
  const head = !config.isTied
    ? await loader.matrix({ names: [HEAD_TENSOR], ...vocabulary })
    : embedding ?? await loader.matrix({ names: [EMBEDDING_TENSOR], ...vocabulary });
  return { embedding, layers, finalNorm, head };
}
