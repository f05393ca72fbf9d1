import type { HfConfig, ModelConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { type DenseDefaults, readAttentionBiases, readDenseConfig } from "./dense_config.ts";
import { MLP_EXPERTS } from "./moe.ts";
import { readExperts } from "./moe_config.ts";
import { readOneWindow } from "./sliding_windows.ts";
import { sparseLayers } from "./sparse.ts";

/** Qwen 3 with experts, such as 30B-A3B: the attention of qwen3; some layers may be dense. */
export const qwen3Moe: Architecture = {
  modelType: "qwen3_moe",
  readConfig,
  ...sparseLayers(MLP_EXPERTS),
};

/** transformers' Qwen3MoeConfig. */
const DEFAULTS: DenseDefaults = {
  modelType: "qwen3_moe",
  numKvHeads: 4,
  headDim: null,
  maxPositions: 32768,
  bosTokenId: null,
  eosTokenIds: [],
};
const EXPERTS = {
  numExpertsFields: ["num_experts", "num_local_experts"],
  numExperts: 128,
  numExpertsPerToken: 8,
  sizeField: "moe_intermediate_size",
  expertSize: 768,
};
const DEFAULT_WINDOW = 4096;

function readConfig(hf: HfConfig): ModelConfig {
  const config = new ConfigReader(hf);
  const dense = readDenseConfig(config, DEFAULTS);
  const { numLayers } = dense;
  const isSparse = readSparseLayers(config, numLayers);
  const windows = config.flag("use_sliding_window", false)
    ? readOneWindow(config, numLayers, DEFAULT_WINDOW)
    : dense.slidingWindows;
  return {
    ...dense,
    hasQkNorm: true,
    ...readAttentionBiases(config),
    slidingWindows: windows,
    moe: isSparse.includes(true)
      ? {
        ...readExperts(config, EXPERTS, isSparse),
        isNormalised: config.flag("norm_topk_prob", false),
      }
      : null,
  };
}

/** Every `decoder_sparse_step`-th layer that is not in `mlp_only_layers`, if there are experts. */
export function readSparseLayers(config: ConfigReader, numLayers: number): boolean[] {
  const hasNoExperts = EXPERTS.numExpertsFields.some((name) =>
    config.has(name) && config.size(name, { minimum: 0, maximum: 2 ** 31 }) === 0
  );
  const step = config.size("decoder_sparse_step", { maximum: 2 ** 31, fallback: 1 });
  const dense = new Set(config.sizes("mlp_only_layers"));
  return Array.from(
    { length: numLayers },
    (_, layer) => !hasNoExperts && !dense.has(layer) && (layer + 1) % step === 0,
  );
}
