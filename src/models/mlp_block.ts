/**
 * The gated MLP: its tensors and its dispatches.
 *
 * @module
 */
import type { ModelConfig } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import { geluMul } from "../kernels/gelu_mul.ts";
import { projection } from "../kernels/projection.ts";
import { siluMul } from "../kernels/silu_mul.ts";
import { addProjection } from "./add_projection.ts";
import { type LayerRun, type LayerTensors, operand } from "./architecture.ts";
import { tensorNames } from "./layer_tensors.ts";
import { normHidden } from "./norm_hidden.ts";

/** Tensors of the MLP and its norm. */
export function mlpTensors(config: ModelConfig, layer: number): LayerTensors {
  const { hiddenSize, intermediateSize } = config;
  const { matrix, vector } = tensorNames(layer);
  const gateUp = ["mlp.gate_proj", "mlp.up_proj"];
  const gateUpRows = [intermediateSize, intermediateSize];
  return {
    matrices: {
      gateUp: { ...matrix(2 * intermediateSize, hiddenSize, ...gateUp), partRows: gateUpRows },
      down: matrix(hiddenSize, intermediateSize, "mlp.down_proj"),
    },
    vectors: {
      mlpNorm: vector("weight", hiddenSize, "post_attention_layernorm"),
      ...(config.hasMlpBias && {
        gateUpBias: {
          ...vector("bias", 2 * intermediateSize, ...gateUp),
          partLengths: gateUpRows,
        },
        downBias: vector("bias", hiddenSize, "mlp.down_proj"),
      }),
    },
  };
}

/** Widths of the buffers between its kernels. */
export function mlpScratch(config: ModelConfig): Record<string, number> {
  return {
    normed: config.hiddenSize,
    gateUp: 2 * config.intermediateSize,
    gated: config.intermediateSize,
  };
}

/** h += mlp(norm(h)), with a norm of what is added where there are weights for it. */
export function mlpBlock(run: LayerRun): Dispatch[] {
  const { kernels, config, shape: { numTokens } } = run;
  const { matrices, vectors } = run.weights;
  const gate = config.activation === "silu" ? siluMul : geluMul;
  const normed = operand(run.scratch, "normed");
  const gateUp = operand(run.scratch, "gateUp");
  const gated = operand(run.scratch, "gated");
  return [
    normHidden(run, "mlpNorm"),
    ...projection(kernels, {
      weight: operand(matrices, "gateUp"),
      x: normed,
      y: gateUp,
      bias: vectors["gateUpBias"] ?? null,
      numRows: numTokens,
    }),
    gate(kernels, { gateUp, y: gated, numCols: config.intermediateSize, numTokens }),
    ...addProjection(run, {
      weight: operand(matrices, "down"),
      x: gated,
      bias: vectors["downBias"] ?? null,
      postNorm: vectors["postMlpNorm"] ?? null,
    }),
  ];
}
