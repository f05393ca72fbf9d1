import type { HfConfig, ModelConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { type DenseDefaults, readDenseConfig } from "./dense_config.ts";
import { BLOCK_SPARSE_EXPERTS } from "./moe.ts";
import { readExperts } from "./moe_config.ts";
import { readOneWindow } from "./sliding_windows.ts";
import { sparseLayers } from "./sparse.ts";

/** Mixtral: Mistral's attention, experts in every layer, no window unless the file has one. */
export const mixtral: Architecture = {
  modelType: "mixtral",
  readConfig,
  ...sparseLayers(BLOCK_SPARSE_EXPERTS),
};

/** transformers' MixtralConfig. */
const DEFAULTS: DenseDefaults = {
  modelType: "mixtral",
  numKvHeads: 8,
  headDim: null,
  maxPositions: 131072,
  bosTokenId: 1,
  eosTokenIds: [2],
  rmsNormEps: 1e-5,
  rope: { theta: 1e6 },
};
const EXPERTS = {
  numExpertsFields: ["num_local_experts", "num_experts"],
  numExperts: 8,
  numExpertsPerToken: 2,
  sizeField: "intermediate_size",
  expertSize: 14336,
};

function readConfig(hf: HfConfig): ModelConfig {
  const config = new ConfigReader(hf);
  const dense = readDenseConfig(config, DEFAULTS);
  const { numLayers } = dense;
  return {
    ...dense,
    slidingWindows: readOneWindow(config, numLayers, null),
    moe: {
      ...readExperts(config, EXPERTS, new Array<boolean>(numLayers).fill(true)),
      isNormalised: true,
    },
  };
}
