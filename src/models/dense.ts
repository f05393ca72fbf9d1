/**
 * The pre-norm decoder that llama, mistral, qwen2 and qwen3 share: grouped-query attention with
 * rope, then SwiGLU.
 *
 * @module
 */
import type { ModelConfig } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import type { LayerRun, LayerTensors } from "./architecture.ts";
import { attentionBlock, attentionScratch, attentionTensors } from "./attention_block.ts";
import { joinTensors } from "./layer_tensors.ts";
import { mlpBlock, mlpScratch, mlpTensors } from "./mlp_block.ts";

/** Tensors of one layer. Q, K and V make one matrix, gate and up another. */
export function denseLayerTensors(config: ModelConfig, layer: number): LayerTensors {
  return joinTensors(attentionTensors(config, layer), mlpTensors(config, layer));
}

/** Widths of the buffers between the kernels of a layer, by block. */
export function denseScratchColumns(config: ModelConfig): Record<string, number>[] {
  return [attentionScratch(config), mlpScratch(config)];
}

/** h += attention(norm(h)); h += mlp(norm(h)). */
export function denseLayer(run: LayerRun): Dispatch[] {
  return [...attentionBlock(run), ...mlpBlock(run)];
}
