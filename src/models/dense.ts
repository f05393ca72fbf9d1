/**
 * The pre-norm decoder that llama, mistral, qwen2 and qwen3 share: grouped-query attention with
 * rope, then SwiGLU.
 *
 * @module
 */
import type { ModelConfig } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import type { AttentionCall } from "../kernels/attention_call.ts";
import { attentionDecode } from "../kernels/attention_decode.ts";
import { attentionPrefill } from "../kernels/attention_prefill.ts";
import { kvStore } from "../kernels/kv_store.ts";
import { projection } from "../kernels/projection.ts";
import { headNorm, rmsNorm } from "../kernels/rms_norm.ts";
import { rope } from "../kernels/rope.ts";
import { siluMul } from "../kernels/silu_mul.ts";
import { type LayerRun, type LayerTensors, operand } from "./architecture.ts";

/** Tensors of one layer. Q, K and V make one matrix, gate and up another. */
export function denseLayerTensors(config: ModelConfig, layer: number): LayerTensors {
  const { hiddenSize, intermediateSize, headDim } = config;
  const prefix = `model.layers.${layer}`;
  const tensors = (kind: "weight" | "bias", ...names: string[]) =>
    names.map((name) => `${prefix}.${name}.${kind}`);
  const qkv = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];
  const gateUp = ["mlp.gate_proj", "mlp.up_proj"];
  const attendedSize = config.numHeads * headDim;
  const keySize = config.numKvHeads * headDim;
  const qkvRows = [attendedSize, keySize, keySize];
  const gateUpRows = [intermediateSize, intermediateSize];
  const matrix = (numRows: number, numCols: number, ...names: string[]) => ({
    names: tensors("weight", ...names),
    numRows,
    numCols,
  });
  const vector = (kind: "weight" | "bias", length: number, ...names: string[]) => ({
    names: tensors(kind, ...names),
    length,
  });
  return {
    matrices: {
      qkv: { ...matrix(qkvColumns(config), hiddenSize, ...qkv), partRows: qkvRows },
      output: matrix(hiddenSize, attendedSize, "self_attn.o_proj"),
      gateUp: { ...matrix(2 * intermediateSize, hiddenSize, ...gateUp), partRows: gateUpRows },
      down: matrix(hiddenSize, intermediateSize, "mlp.down_proj"),
    },
    vectors: {
      inputNorm: vector("weight", hiddenSize, "input_layernorm"),
      mlpNorm: vector("weight", hiddenSize, "post_attention_layernorm"),
      ...(config.hasQkvBias && {
        qkvBias: { ...vector("bias", qkvColumns(config), ...qkv), partLengths: qkvRows },
      }),
      ...(config.hasOutputBias && { outputBias: vector("bias", hiddenSize, "self_attn.o_proj") }),
      ...(config.hasQkNorm && {
        queryNorm: vector("weight", headDim, "self_attn.q_norm"),
        keyNorm: vector("weight", headDim, "self_attn.k_norm"),
      }),
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

/** Widths of the buffers between the kernels of a layer. */
export function denseScratchColumns(config: ModelConfig): Record<string, number> {
  return {
    normed: config.hiddenSize,
    qkv: qkvColumns(config),
    attended: config.numHeads * config.headDim,
    gateUp: 2 * config.intermediateSize,
    gated: config.intermediateSize,
  };
}

/** h += attention(norm(h)); h += mlp(norm(h)). */
export function denseLayer(run: LayerRun): Dispatch[] {
  return [...attentionBlock(run), ...mlpBlock(run)];
}

function attentionBlock(run: LayerRun): Dispatch[] {
  const { kernels, config, shape, batch, hidden, cache } = run;
  const { matrices, vectors } = run.weights;
  const { numTokens } = shape;
  const normed = operand(run.scratch, "normed");
  const qkv = operand(run.scratch, "qkv");
  const attended = operand(run.scratch, "attended");
  const stride = qkvColumns(config);
  const keyOffset = config.numHeads * config.headDim;
  return [
    rmsNorm(kernels, {
      weight: operand(vectors, "inputNorm"),
      eps: config.rmsNormEps,
      x: hidden,
      y: normed,
      numCols: config.hiddenSize,
      numRows: numTokens,
    }),
    ...projection(kernels, {
      weight: operand(matrices, "qkv"),
      x: normed,
      y: qkv,
      bias: vectors["qkvBias"] ?? null,
      numRows: numTokens,
    }),
    ...queryKeyNorms(run, { qkv, stride, keyOffset }),
    rope(kernels, {
      tokenRows: batch.tokenRows,
      angles: run.angles,
      qkv,
      stride,
      numRotatedHeads: config.numHeads + config.numKvHeads,
      headDim: config.headDim,
      rotaryDim: config.rope.rotaryDim,
      isInterleaved: config.rope.isInterleaved,
      numTokens,
    }),
    kvStore(kernels, { cache, tokenRows: batch.tokenRows, qkv, stride, keyOffset, numTokens }),
    ...attention(run, {
      cache,
      blockTables: batch.blockTables,
      maxBlocks: batch.maxBlocks,
      qkv,
      stride,
      out: attended,
      numHeads: config.numHeads,
      scale: 1 / Math.sqrt(config.headDim),
      window: config.slidingWindows[run.layer] ?? null,
    }),
    ...projection(kernels, {
      weight: operand(matrices, "output"),
      x: attended,
      y: hidden,
      bias: vectors["outputBias"] ?? null,
      accumulate: true,
      numRows: numTokens,
    }),
  ];
}

function queryKeyNorms(
  run: LayerRun,
  at: { readonly qkv: GPUBuffer; readonly stride: number; readonly keyOffset: number },
): Dispatch[] {
  const { config, kernels, weights: { vectors }, shape } = run;
  if (!config.hasQkNorm) return [];
  const shared = {
    eps: config.rmsNormEps,
    x: at.qkv,
    stride: at.stride,
    headDim: config.headDim,
    numRows: shape.numTokens,
  };
  return [
    headNorm(kernels, {
      ...shared,
      weight: operand(vectors, "queryNorm"),
      offset: 0,
      numHeads: config.numHeads,
    }),
    headNorm(kernels, {
      ...shared,
      weight: operand(vectors, "keyNorm"),
      offset: at.keyOffset,
      numHeads: config.numKvHeads,
    }),
  ];
}

/** Single tokens and runs of tokens each have their kernel; a batch may hold both. */
function attention(run: LayerRun, call: AttentionCall): Dispatch[] {
  const { kernels, batch, shape } = run;
  return [
    ...(shape.numDecodeRows > 0
      ? [attentionDecode(kernels, {
        ...call,
        tokenRows: batch.tokenRows,
        decodeRows: batch.decodeRows,
        numRows: shape.numDecodeRows,
      })]
      : []),
    ...(shape.numTiles > 0
      ? [attentionPrefill(kernels, { ...call, tiles: batch.tiles, numTiles: shape.numTiles })]
      : []),
  ];
}

function mlpBlock(run: LayerRun): Dispatch[] {
  const { kernels, config, hidden, shape: { numTokens } } = run;
  const { matrices, vectors } = run.weights;
  const normed = operand(run.scratch, "normed");
  const gateUp = operand(run.scratch, "gateUp");
  const gated = operand(run.scratch, "gated");
  return [
    rmsNorm(kernels, {
      weight: operand(vectors, "mlpNorm"),
      eps: config.rmsNormEps,
      x: hidden,
      y: normed,
      numCols: config.hiddenSize,
      numRows: numTokens,
    }),
    ...projection(kernels, {
      weight: operand(matrices, "gateUp"),
      x: normed,
      y: gateUp,
      bias: vectors["gateUpBias"] ?? null,
      numRows: numTokens,
    }),
    siluMul(kernels, { gateUp, y: gated, numCols: config.intermediateSize, numTokens }),
    ...projection(kernels, {
      weight: operand(matrices, "down"),
      x: gated,
      y: hidden,
      bias: vectors["downBias"] ?? null,
      accumulate: true,
      numRows: numTokens,
    }),
  ];
}

function qkvColumns(config: ModelConfig): number {
  return (config.numHeads + 2 * config.numKvHeads) * config.headDim;
}
