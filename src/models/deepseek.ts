/**
 * What deepseek_v2 and deepseek_v3 share: latent attention, then an MLP in the first layers and
 * experts in the others.
 *
 * @module
 */
import type { HfConfig, LatentAttentionConfig, ModelConfig, RopeConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { ConfigReader } from "./config_reader.ts";
import { type DenseDefaults, MAX_COLUMNS, readDenseConfig } from "./dense_config.ts";
import {
  latentAttentionBlock,
  latentAttentionScratch,
  latentAttentionTensors,
  latentMemory,
} from "./latent_attention.ts";
import { joinTensors } from "./layer_tensors.ts";
import { mlpBlock, mlpTensors } from "./mlp_block.ts";
import { MLP_EXPERTS, moeBlock, moeTensors } from "./moe.ts";
import { yarnMscale } from "./rope_angles.ts";
import { isSparse, sparseScratch } from "./sparse.ts";

/** A workgroup holds the query of a head. */
const MAX_LATENT_DIM = 2048;
const MAX_HEAD_DIM = 1024;

/** What an architecture says about its layers. */
export const deepseekLayers: Pick<
  Architecture,
  "layerTensors" | "layerMemory" | "scratchColumns" | "decoderLayer"
> = {
  layerTensors: (config, layer) =>
    joinTensors(
      latentAttentionTensors(config, layer),
      isSparse(config, layer) ? moeTensors(config, layer, MLP_EXPERTS) : mlpTensors(config, layer),
    ),
  layerMemory: latentMemory,
  scratchColumns: (config) => [latentAttentionScratch(config), ...sparseScratch(config)],
  decoderLayer: (run) => [
    ...latentAttentionBlock(run),
    ...(isSparse(run.config, run.layer) ? moeBlock(run) : mlpBlock(run)),
  ],
};

/**
 * Reads everything but the experts. `fields` are those of the file over the defaults of the model's
 * class in Hugging Face's transformers.
 */
export function readDeepseekConfig(fields: HfConfig, modelType: string): ModelConfig {
  const config = new ConfigReader(fields);
  const head = { maximum: MAX_HEAD_DIM };
  const ropeDim = config.size("qk_rope_head_dim", head);
  if (ropeDim % 2 !== 0) throw config.fail("qk_rope_head_dim", "even");
  const sizes = {
    queryRank: config.has("q_lora_rank")
      ? config.size("q_lora_rank", { maximum: MAX_COLUMNS })
      : null,
    latentDim: config.size("kv_lora_rank", { maximum: MAX_LATENT_DIM }),
    nopeDim: config.size("qk_nope_head_dim", head),
    ropeDim,
    valueDim: config.size("v_head_dim", head),
  };
  // What turns is all that rope knows of a head, and every head has its own keys.
  const heads = { head_dim: sizes.ropeDim, num_key_value_heads: null };
  const dense = readDenseConfig(new ConfigReader({ ...fields, ...heads }), {
    ...NO_DEFAULTS,
    modelType,
  });
  const hasBias = config.flag("attention_bias", false);
  const scoreScale = scoreScaleOf(sizes, dense.rope);
  return {
    ...dense,
    hasQkvBias: hasBias,
    hasOutputBias: hasBias,
    latentAttention: { ...sizes, scoreScale },
  };
}

/** `fields` has them. */
const NO_DEFAULTS: Omit<DenseDefaults, "modelType"> = {
  numKvHeads: null,
  headDim: null,
  maxPositions: 2048,
  bosTokenId: null,
  eosTokenIds: [],
};

/** 1 / sqrt(size of a head), times the square of yarn's mscale. */
function scoreScaleOf(
  { nopeDim, ropeDim }: Pick<LatentAttentionConfig, "nopeDim" | "ropeDim">,
  { scaling }: RopeConfig,
): number {
  const isScaled = scaling.type === "yarn" && scaling.mscaleAllDim > 0;
  const mscale = isScaled ? yarnMscale(scaling.factor, scaling.mscaleAllDim) : 1;
  return mscale ** 2 / Math.sqrt(nopeDim + ropeDim);
}
