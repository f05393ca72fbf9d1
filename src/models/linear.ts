/**
 * The linear attention that stands in place of attention: a gated delta rule over queries, keys and
 * values that a short convolution has mixed with those of the tokens before.
 *
 * @module
 */
import type { LinearConfig, ModelConfig } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import { causalConv } from "../kernels/causal_conv.ts";
import { deltaChunks } from "../kernels/delta_chunks.ts";
import { deltaInputs } from "../kernels/delta_inputs.ts";
import { deltaRule } from "../kernels/delta_rule.ts";
import { deltaSolve, solutionColumns } from "../kernels/delta_solve.ts";
import { gatedNorm } from "../kernels/gated_norm.ts";
import {
  convColumns,
  projectedColumns,
  stateColumns,
  valueColumns,
} from "../kernels/linear_shape.ts";
import { projection } from "../kernels/projection.ts";
import { type LayerRun, type LayerTensors, operand } from "./architecture.ts";
import { type LayerMemory, stateBufferOf } from "./layer_memory.ts";
import { tensorNames } from "./layer_tensors.ts";
import { normHidden } from "./norm_hidden.ts";

/** The linear attention of a model that has some. */
export function linearOf({ linear, modelType }: ModelConfig): LinearConfig {
  if (linear === null) throw new Error(`Model type "${modelType}" was read without linear layers`);
  return linear;
}

/** Whether a layer has linear attention. */
export function isLinear(config: ModelConfig, layer: number): boolean {
  return config.linear?.isLinear[layer] ?? false;
}

/** Tensors of the block in `layer`, its norm among them. */
export function linearTensors(config: ModelConfig, layer: number): LayerTensors {
  const { hiddenSize } = config;
  const shape = linearOf(config);
  const { matrix, vector } = tensorNames(layer);
  const bare = (name: string, length: number) => ({
    names: [`model.layers.${layer}.linear_attn.${name}`],
    length,
  });
  return {
    matrices: {
      mixed: matrix(projectedColumns(shape), hiddenSize, "linear_attn.in_proj_qkvz"),
      rates: matrix(2 * shape.numValueHeads, hiddenSize, "linear_attn.in_proj_ba"),
      linearOutput: matrix(hiddenSize, valueColumns(shape), "linear_attn.out_proj"),
    },
    vectors: {
      inputNorm: vector("weight", hiddenSize, "input_layernorm"),
      convolution: {
        ...vector("weight", convColumns(shape) * shape.convKernel, "linear_attn.conv1d"),
        shape: [convColumns(shape), 1, shape.convKernel],
      },
      dtBias: bare("dt_bias", shape.numValueHeads),
      aLog: bare("A_log", shape.numValueHeads),
      valueNorm: vector("weight", shape.valueDim, "linear_attn.norm"),
    },
  };
}

/**
 * Widths of the buffers of the block; those of other blocks serve it, too, where they are as wide.
 * Once its inputs are projected, `normed` is free for the chunks' solutions.
 */
export function linearScratch(config: ModelConfig): Record<string, number> {
  const shape = linearOf(config);
  return {
    normed: Math.max(config.hiddenSize, solutionColumns(shape)),
    gatedQkv: projectedColumns(shape),
    qkv: convColumns(shape),
    attended: valueColumns(shape),
    rates: 2 * shape.numValueHeads,
    deltaGates: 4 * shape.numValueHeads,
  };
}

/** The states that a layer keeps of each sequence. */
export function linearMemory(config: ModelConfig): LayerMemory {
  return { type: "state", columns: { ...stateColumns(linearOf(config)) } };
}

/** h += linear attention(norm(h)). */
export function linearBlock(run: LayerRun): Dispatch[] {
  const { kernels, config, shape: { numTokens }, batch, hidden, scratch, cache } = run;
  const { matrices, vectors } = run.weights;
  const shape = linearOf(config);
  const { slices, tokenRows } = batch;
  const normed = operand(scratch, "normed");
  const projected = operand(scratch, "gatedQkv");
  const mixed = operand(scratch, "qkv");
  const rates = operand(scratch, "rates");
  const gates = operand(scratch, "deltaGates");
  const values = operand(scratch, "attended");
  const project = (name: string, x: GPUBuffer, y: GPUBuffer, accumulate = false) =>
    projection(kernels, {
      ...{ weight: operand(matrices, name), x, y, accumulate },
      numRows: numTokens,
    });
  return [
    normHidden(run, "inputNorm"),
    ...project("mixed", normed, projected),
    ...project("rates", normed, rates),
    causalConv(kernels, {
      ...{ shape, tokenRows, slices, projected, mixed, numTokens },
      weight: operand(vectors, "convolution"),
      states: stateBufferOf(cache, "conv"),
    }),
    deltaInputs(kernels, {
      ...{ shape, rates, mixed, gates, numTokens },
      aLog: operand(vectors, "aLog"),
      dtBias: operand(vectors, "dtBias"),
    }),
    ...deltaRules(run, { shape, mixed, gates, out: values }),
    gatedNorm(kernels, {
      ...{ shape, projected, x: values, numTokens },
      weight: operand(vectors, "valueNorm"),
      eps: config.rmsNormEps,
    }),
    ...project("linearOutput", values, hidden, true),
  ];
}

/** Long slices go through in chunks, where the batch has any; the others token by token. */
function deltaRules(
  { kernels, shape: { numSlices, numChunks }, batch, scratch, cache }: LayerRun,
  operands: {
    readonly shape: LinearConfig;
    readonly mixed: GPUBuffer;
    readonly gates: GPUBuffer;
    readonly out: GPUBuffer;
  },
): Dispatch[] {
  const { slices, chunks } = batch;
  const states = stateBufferOf(cache, "delta");
  const call = { ...operands, slices, states, numSlices };
  if (numChunks === 0) return [deltaRule(kernels, call)];
  const solutions = operand(scratch, "normed");
  return [
    deltaSolve(kernels, { ...operands, chunks, solutions, numChunks }),
    deltaChunks(kernels, { ...call, solutions }),
    deltaRule(kernels, { ...call, isOnlyShort: true }),
  ];
}
