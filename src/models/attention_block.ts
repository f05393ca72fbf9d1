/**
 * Grouped-query attention with rope: its tensors, its buffers, its dispatches.
 *
 * @module
 */
import type { ModelConfig } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import { gateHeads } from "../kernels/gate_heads.ts";
import { projection } from "../kernels/projection.ts";
import { headNorm } from "../kernels/rms_norm.ts";
import { rope } from "../kernels/rope.ts";
import { splitGate } from "../kernels/split_gate.ts";
import { addProjection } from "./add_projection.ts";
import { type LayerRun, type LayerTensors, operand } from "./architecture.ts";
import { paddedScratch, storeAndAttend } from "./kv_attention.ts";
import { kvCacheOf } from "./layer_memory.ts";
import { tensorNames } from "./layer_tensors.ts";
import { normHidden } from "./norm_hidden.ts";
import { ropeOfLayer } from "./rope_angles.ts";

/** Tensors of the attention block, its norm among them. */
export function attentionTensors(config: ModelConfig, layer: number): LayerTensors {
  const { hiddenSize, headDim, numHeads, numKvHeads, hasWholeQkNorm } = config;
  const { matrix, vector } = tensorNames(layer);
  const qkv = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];
  const attendedSize = numHeads * headDim;
  const keySize = numKvHeads * headDim;
  const qkvRows = [config.hasOutputGate ? 2 * attendedSize : attendedSize, keySize, keySize];
  return {
    matrices: {
      qkv: { ...matrix(projectedColumns(config), hiddenSize, ...qkv), partRows: qkvRows },
      output: matrix(hiddenSize, attendedSize, "self_attn.o_proj"),
    },
    vectors: {
      inputNorm: vector("weight", hiddenSize, "input_layernorm"),
      ...(config.hasQkvBias && {
        qkvBias: { ...vector("bias", projectedColumns(config), ...qkv), partLengths: qkvRows },
      }),
      ...(config.hasOutputBias && { outputBias: vector("bias", hiddenSize, "self_attn.o_proj") }),
      ...(config.hasQkNorm && {
        queryNorm: vector("weight", hasWholeQkNorm ? attendedSize : headDim, "self_attn.q_norm"),
        keyNorm: vector("weight", hasWholeQkNorm ? keySize : headDim, "self_attn.k_norm"),
      }),
    },
  };
}

/** Widths of the buffers between its kernels. */
export function attentionScratch(config: ModelConfig): Record<string, number> {
  return {
    normed: config.hiddenSize,
    qkv: qkvColumns(config),
    ...(config.hasOutputGate && { gatedQkv: projectedColumns(config) }),
    attended: config.numHeads * config.headDim,
    ...paddedScratch(config),
  };
}

/** h += attention(norm(h)), with a norm of what is added where there are weights for it. */
export function attentionBlock(run: LayerRun): Dispatch[] {
  const { kernels, config, shape, batch } = run;
  const cache = kvCacheOf(run.cache);
  const { matrices, vectors } = run.weights;
  const { numTokens } = shape;
  const normed = operand(run.scratch, "normed");
  const qkv = operand(run.scratch, "qkv");
  const gatedQkv = config.hasOutputGate ? operand(run.scratch, "gatedQkv") : null;
  const attended = operand(run.scratch, "attended");
  const stride = qkvColumns(config);
  const keyOffset = config.numHeads * config.headDim;
  const turn = ropeOfLayer(config, run.layer);
  return [
    normHidden(run, "inputNorm"),
    ...projection(kernels, {
      weight: operand(matrices, "qkv"),
      x: normed,
      y: gatedQkv ?? qkv,
      bias: vectors["qkvBias"] ?? null,
      numRows: numTokens,
    }),
    ...(gatedQkv
      ? [splitGate(kernels, {
        ...{ x: gatedQkv, y: qkv, numTokens },
        numHeads: config.numHeads,
        headDim: config.headDim,
        numOthers: stride - keyOffset,
      })]
      : []),
    ...queryKeyNorms(run, { qkv, stride, keyOffset }),
    rope(kernels, {
      tokenRows: batch.tokenRows,
      angles: run.angles,
      qkv,
      stride,
      numRotatedHeads: config.numHeads + config.numKvHeads,
      headDim: config.headDim,
      rotaryDim: turn.rotaryDim,
      isInterleaved: turn.isInterleaved,
      numTokens,
    }),
    ...storeAndAttend(run, { cache, qkv, stride, attended }),
    ...(gatedQkv
      ? [gateHeads(kernels, {
        ...{ x: gatedQkv, y: attended, numTokens },
        stride: projectedColumns(config),
        numHeads: config.numHeads,
        headDim: config.headDim,
      })]
      : []),
    ...addProjection(run, {
      weight: operand(matrices, "output"),
      x: attended,
      bias: vectors["outputBias"] ?? null,
      postNorm: vectors["postAttentionNorm"] ?? null,
    }),
  ];
}

function queryKeyNorms(
  run: LayerRun,
  at: { readonly qkv: GPUBuffer; readonly stride: number; readonly keyOffset: number },
): Dispatch[] {
  const { config, kernels, weights: { vectors }, shape } = run;
  if (!config.hasQkNorm) return [];
  const { headDim, numHeads, numKvHeads, rmsNormEps: eps, hasWholeQkNorm: isWhole } = config;
  const norm = (weight: string, offset: number, numNormed: number) =>
    headNorm(kernels, {
      weight: operand(vectors, weight),
      hasUnitOffset: config.hasUnitOffsetNorms,
      eps,
      x: at.qkv,
      stride: at.stride,
      offset,
      headDim: isWhole ? numNormed * headDim : headDim,
      numHeads: isWhole ? 1 : numNormed,
      numRows: shape.numTokens,
    });
  return [norm("queryNorm", 0, numHeads), norm("keyNorm", at.keyOffset, numKvHeads)];
}

/** What q, k and v are projected to: each query head with its gate, if it has one. */
function projectedColumns(config: ModelConfig): number {
  return qkvColumns(config) + (config.hasOutputGate ? config.numHeads * config.headDim : 0);
}

function qkvColumns(config: ModelConfig): number {
  return (config.numHeads + 2 * config.numKvHeads) * config.headDim;
}
