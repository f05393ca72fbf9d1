import type { HfConfig, Shard, WeightFormat } from "../../src/core.ts";
import type { TensorEntry } from "../../src/formats/tensor_entry.ts";
import { nativeBytes } from "../../src/formats/weight_format.ts";
import type { Architecture } from "../../src/models/architecture.ts";
import {
  EMBEDDING_TENSOR,
  FINAL_NORM_TENSOR,
  HEAD_TENSOR,
  shardTensorNames,
} from "../../src/models/check_tensors.ts";
import { architectureOf } from "../../src/models/registry.ts";
import type { ModelSource } from "../../src/weights/model_source.ts";

/** A model with every tensor that its config.json asks for. */
export function hollowModel(hfConfig: HfConfig, format: WeightFormat) {
  const architecture: Architecture = architectureOf(hfConfig);
  const config = architecture.readConfig(hfConfig);
  const tensors = new Map<string, TensorEntry>();
  const add = (name: string, shape: readonly number[], stored: WeightFormat = "bf16") => {
    const numCols = shape.at(-1)!;
    const numRows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
    const byteLength = nativeBytes(stored, numRows, numCols);
    tensors.set(name, { name, format: stored, shape, offset: 0, byteLength });
  };
  for (let layer = 0; layer < config.numLayers; layer++) {
    const { matrices, vectors } = architecture.layerTensors(config, layer);
    for (const { names, numRows, numCols, partRows, numTransposed } of Object.values(matrices)) {
      names.forEach((name, i) => {
        // Blocks cannot be turned.
        if (numTransposed === undefined) add(name, [partRows?.[i] ?? numRows, numCols], format);
        else add(name, [numTransposed, numCols, numRows / numTransposed]);
      });
    }
    for (const { names, length, partLengths, shape } of Object.values(vectors)) {
      names.forEach((name, i) => add(name, shape ?? [partLengths?.[i] ?? length]));
    }
  }
  const { vocabSize, hiddenSize } = config;
  add(EMBEDDING_TENSOR, [vocabSize, hiddenSize], format);
  add(FINAL_NORM_TENSOR, [hiddenSize]);
  if (!config.isTied) add(HEAD_TENSOR, [vocabSize, hiddenSize], format);
  const source: ModelSource = {
    ...{ name: "hollow", hfConfig, gguf: null, tensors, unreadable: new Map() },
    readTensor: (name, range) => {
      const { byteLength } = tensors.get(name)!;
      const { start, end } = range ?? { start: 0, end: byteLength };
      // 0.03125 in bf16.
      const halves = new Uint16Array(Math.ceil((end - start) / 2)).fill(0x3d00);
      return Promise.resolve(new Uint8Array(halves.buffer, 0, end - start));
    },
    fileOf: () => null,
    readText: () => Promise.resolve(null),
    close: () => Promise.resolve(),
  };
  return { source, architecture, config };
}

/** Layers of a model, with what belongs to its ends. */
export function shardOf(
  { numLayers }: { readonly numLayers: number },
  startLayer: number,
  endLayer: number,
): Shard {
  return {
    ...{ startLayer, endLayer },
    hasEmbedding: startLayer === 0,
    hasHead: endLayer === numLayers,
  };
}

/** Bytes of a shard's tensors in their files. */
export function storedBytes(
  { source, ...model }: Pick<ReturnType<typeof hollowModel>, "architecture" | "config"> & {
    readonly source: Pick<ModelSource, "tensors">;
  },
  shard: Shard,
): number {
  return shardTensorNames({ ...model, shard })
    .reduce((total, name) => total + source.tensors.get(name)!.byteLength, 0);
}
