/**
 * The dense decoder with experts in place of the MLP of some layers: what qwen3_moe, mixtral,
 * minimax_m2 and glm4_moe share.
 *
 * @module
 */
import type { ModelConfig } from "../core.ts";
import type { Architecture } from "./architecture.ts";
import { attentionBlock, attentionScratch, attentionTensors } from "./attention_block.ts";
import { denseLayerTensors } from "./dense.ts";
import { joinTensors } from "./layer_tensors.ts";
import { mlpBlock, mlpScratch } from "./mlp_block.ts";
import { moeBlock, type MoeNames, moeScratch, moeTensors } from "./moe.ts";

/** What an architecture says about its layers, by the names of its experts. */
export function sparseLayers(
  names: MoeNames,
): Pick<Architecture, "layerTensors" | "scratchColumns" | "decoderLayer"> {
  return {
    layerTensors: (config, layer) =>
      isSparse(config, layer)
        ? joinTensors(attentionTensors(config, layer), moeTensors(config, layer, names))
        : denseLayerTensors(config, layer),
    scratchColumns: (config) => [attentionScratch(config), ...sparseScratch(config)],
    decoderLayer: (run) => [
      ...attentionBlock(run),
      ...(isSparse(run.config, run.layer) ? moeBlock(run) : mlpBlock(run)),
    ],
  };
}

/** Widths of the buffers of each block that follows attention in some layer. */
export function sparseScratch(config: ModelConfig): Record<string, number>[] {
  const { moe } = config;
  return [
    ...(moe?.isSparse.every((sparse) => sparse) ? [] : [mlpScratch(config)]),
    ...(moe ? [moeScratch(config)] : []),
  ];
}

/** Whether a layer has experts. */
export function isSparse(config: ModelConfig, layer: number): boolean {
  return config.moe?.isSparse[layer] ?? false;
}
