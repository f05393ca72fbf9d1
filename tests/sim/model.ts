import { ManifestShelf } from "../../src/cluster/manifest_shelf.ts";
import type { HfConfig, ModelConfig, Shard } from "../../src/core.ts";
import type { TensorEntry } from "../../src/formats/tensor_entry.ts";
import type { Architecture } from "../../src/models/architecture.ts";
import { shardTensorNames } from "../../src/models/check_tensors.ts";
import { architectureOf } from "../../src/models/registry.ts";
import type { MeshCrypto } from "../../src/platform/platform.ts";
import type { StageLimits } from "../../src/stage/stage_limits.ts";
import { type ModelCosts, modelCosts } from "../../src/stage/model_costs.ts";
import { MemorySource } from "../../src/weights/memory_source.ts";
import { ModelShare } from "../../src/weights/model_share.ts";
import type { ModelSource } from "../../src/weights/model_source.ts";
import { VOCAB_SIZE } from "../pipeline/hash_chain.ts";
import { mixNumber } from "./rng.ts";

export const MAX_LAYERS = 6;

/** A model whose tensors are tiny and whose arithmetic is hash chains. */
export interface SimModel {
  readonly config: ModelConfig;
  /** With the manifest of every shard on it, so that none is made in a run. */
  readonly shelf: ManifestShelf;
  costs(limits: StageLimits): ModelCosts;
}

/** Models of 1 to MAX_LAYERS layers, by their number of layers. To be called outside of runs. */
export async function makeModels(): Promise<ReadonlyMap<number, SimModel>> {
  const models = new Map<number, SimModel>();
  for (let numLayers = 1; numLayers <= MAX_LAYERS; numLayers++) {
    models.set(numLayers, await makeModel(numLayers));
  }
  return models;
}

async function makeModel(numLayers: number): Promise<SimModel> {
  const hfConfig: HfConfig = {
    model_type: "llama",
    vocab_size: VOCAB_SIZE,
    hidden_size: 4,
    intermediate_size: 4,
    num_hidden_layers: numLayers,
    num_attention_heads: 1,
    num_key_value_heads: 1,
    head_dim: 4,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: false,
    rope_theta: 10_000,
    bos_token_id: 1,
    eos_token_id: 2,
  };
  const architecture = architectureOf(hfConfig);
  const config = architecture.readConfig(hfConfig);
  const source = makeSource(hfConfig, { architecture, config });
  const model = { architecture, config };
  const shelf = new ManifestShelf({ share: new ModelShare(source), model, crypto: QUICK_CRYPTO });
  for (const shard of allShards(numLayers)) await shelf.manifest(shard);
  return {
    config,
    shelf,
    costs: (limits) => modelCosts({ source, ...model, limits }),
  };
}

function makeSource(
  hfConfig: HfConfig,
  model: { readonly architecture: Architecture; readonly config: ModelConfig },
): ModelSource {
  const { architecture, config } = model;
  const tensors = new Map<string, TensorEntry>();
  let offset = 0;
  const add = (name: string, shape: readonly number[]) => {
    const byteLength = 4 * shape.reduce((product, size) => product * size, 1);
    tensors.set(name, { name, format: "f32", shape, offset, byteLength });
    offset += byteLength;
  };
  const whole = {
    startLayer: 0,
    endLayer: config.numLayers,
    hasEmbedding: true,
    hasHead: true,
  };
  const shapes = new Map<string, readonly number[]>();
  for (let layer = 0; layer < config.numLayers; layer++) {
    const { matrices, vectors } = architecture.layerTensors(config, layer);
    for (const { names, numRows, numCols, partRows } of Object.values(matrices)) {
      names.forEach((name, i) => shapes.set(name, [partRows?.[i] ?? numRows, numCols]));
    }
    for (const { names, length, partLengths } of Object.values(vectors)) {
      names.forEach((name, i) => shapes.set(name, [partLengths?.[i] ?? length]));
    }
  }
  for (const name of shardTensorNames({ ...model, shard: whole })) {
    const outer = name.endsWith("norm.weight") && !shapes.has(name)
      ? [config.hiddenSize]
      : [config.vocabSize, config.hiddenSize];
    add(name, shapes.get(name) ?? outer);
  }
  const file = new MemorySource("tiny", new Uint8Array(offset), {
    origin: { urls: [], version: `tiny ${config.numLayers}` },
  });
  return {
    name: "tiny",
    hfConfig,
    gguf: null,
    tensors,
    unreadable: new Map(),
    readTensor: (name, range = { start: 0, end: tensors.get(name)?.byteLength ?? 0 }) => {
      const start = (tensors.get(name)?.offset ?? 0) + range.start;
      return file.read(start, start + range.end - range.start);
    },
    fileOf: (name) => tensors.has(name) ? file : null,
    readText: () => Promise.resolve(null),
    close: () => Promise.resolve(),
  };
}

function allShards(numLayers: number): Shard[] {
  const shards: Shard[] = [];
  for (let startLayer = 0; startLayer < numLayers; startLayer++) {
    for (let endLayer = startLayer + 1; endLayer <= numLayers; endLayer++) {
      const [hasEmbedding, hasHead] = [startLayer === 0, endLayer === numLayers];
      shards.push({ startLayer, endLayer, hasEmbedding, hasHead });
    }
  }
  return shards;
}

/** Resolves at once: keys need to be distinct here, not secure. */
const QUICK_CRYPTO: MeshCrypto = {
  subtle: {
    digest: (_: string, data: BufferSource) => {
      const bytes = new Uint8Array(data as ArrayBuffer);
      const words = new Uint32Array(8);
      words.forEach((_, i) => words[i] = bytes.reduce(mixNumber, i));
      return Promise.resolve(words.buffer);
    },
  } as unknown as SubtleCrypto,
  randomBytes: () => {
    throw new Error("The simulation draws no random bytes");
  },
};
