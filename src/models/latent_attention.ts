/**
 * Multi-head latent attention (arXiv 2405.04434): keys and values of all heads follow from one latent
 * for each token, and only that is kept. Queries are asked of the latents and the latents that a head
 * saw become its values afterwards, so keys and values of heads are never written out.
 *
 * @module
 */
import type { LatentAttentionConfig, ModelConfig } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import { latentAttention } from "../kernels/latent_attention.ts";
import { latentWidth } from "../kernels/latent_cache.ts";
import { latentQuery } from "../kernels/latent_query.ts";
import { latentStore } from "../kernels/latent_store.ts";
import { latentValue } from "../kernels/latent_value.ts";
import { projection } from "../kernels/projection.ts";
import { headNorm } from "../kernels/rms_norm.ts";
import { type LayerRun, type LayerTensors, operand } from "./architecture.ts";
import { latentCacheOf, type LayerMemory } from "./layer_memory.ts";
import { tensorNames } from "./layer_tensors.ts";
import { normHidden } from "./norm_hidden.ts";

/** Of the norms within the block, whatever `rms_norm_eps` says. */
const LATENT_NORM_EPS = 1e-6;

/** The sizes of a model that has latent attention. */
export function latentAttentionOf(config: ModelConfig): LatentAttentionConfig {
  const { latentAttention, modelType } = config;
  if (latentAttention !== null) return latentAttention;
  throw new Error(`Model type "${modelType}" was read without latent attention`);
}

/** What a layer keeps of each token. */
export function latentMemory(config: ModelConfig): LayerMemory {
  const { latentDim, ropeDim } = latentAttentionOf(config);
  return { type: "latent", latentDim, ropeDim };
}

/** Tensors of the block, its norm among them. */
export function latentAttentionTensors(config: ModelConfig, layer: number): LayerTensors {
  const { hiddenSize, numHeads, hasQkvBias, hasOutputBias } = config;
  const { queryRank, latentDim, nopeDim, ropeDim, valueDim } = latentAttentionOf(config);
  const { matrix, vector } = tensorNames(layer);
  const querySize = numHeads * (nopeDim + ropeDim);
  const latentSize = latentDim + ropeDim;
  return {
    matrices: {
      ...(queryRank === null ? { query: matrix(querySize, hiddenSize, "self_attn.q_proj") } : {
        queryDown: matrix(queryRank, hiddenSize, "self_attn.q_a_proj"),
        query: matrix(querySize, queryRank, "self_attn.q_b_proj"),
      }),
      latent: matrix(latentSize, hiddenSize, "self_attn.kv_a_proj_with_mqa"),
      keysValues: matrix(numHeads * (nopeDim + valueDim), latentDim, "self_attn.kv_b_proj"),
      output: matrix(hiddenSize, numHeads * valueDim, "self_attn.o_proj"),
    },
    vectors: {
      inputNorm: vector("weight", hiddenSize, "input_layernorm"),
      latentNorm: vector("weight", latentDim, "self_attn.kv_a_layernorm"),
      ...(queryRank !== null && {
        queryNorm: vector("weight", queryRank, "self_attn.q_a_layernorm"),
        ...(hasQkvBias && { queryDownBias: vector("bias", queryRank, "self_attn.q_a_proj") }),
      }),
      ...(hasQkvBias && {
        latentBias: vector("bias", latentSize, "self_attn.kv_a_proj_with_mqa"),
      }),
      ...(hasOutputBias && { outputBias: vector("bias", hiddenSize, "self_attn.o_proj") }),
    },
  };
}

/** Widths of the buffers of the block. */
export function latentAttentionScratch(config: ModelConfig): Record<string, number> {
  const { numHeads, hiddenSize } = config;
  const { queryRank, latentDim, nopeDim, ropeDim, valueDim } = latentAttentionOf(config);
  return {
    normed: hiddenSize,
    ...(queryRank !== null && { queryDown: queryRank }),
    // Queries, and then what the heads attended to.
    heads: numHeads * Math.max(nopeDim + ropeDim, valueDim),
    latent: latentDim + ropeDim,
    latentHeads: numHeads * latentWidth({ latentDim, ropeDim }),
  };
}

/** h += attention(norm(h)). */
export function latentAttentionBlock(run: LayerRun): Dispatch[] {
  const { kernels, config, shape: { numTokens }, batch, hidden, angles } = run;
  const { matrices, vectors } = run.weights;
  const cache = latentCacheOf(run.cache);
  const { scoreScale, ...sizes } = latentAttentionOf(config);
  const normed = operand(run.scratch, "normed");
  const heads = operand(run.scratch, "heads");
  const latent = operand(run.scratch, "latent");
  const latentHeads = operand(run.scratch, "latentHeads");
  const { numHeads, rope: { isInterleaved } } = config;
  const { tokenRows, blockTables, maxBlocks } = batch;
  const absorbed = { ...sizes, numHeads, weight: operand(matrices, "keysValues") };
  return [
    normHidden(run, "inputNorm"),
    ...queries(run),
    ...projection(kernels, {
      weight: operand(matrices, "latent"),
      x: normed,
      y: latent,
      bias: vectors["latentBias"] ?? null,
      numRows: numTokens,
    }),
    latentStore(kernels, {
      cache,
      tokenRows,
      normWeight: operand(vectors, "latentNorm"),
      eps: LATENT_NORM_EPS,
      angles,
      isInterleaved,
      projected: latent,
      numTokens,
    }),
    ...latentQuery(kernels, {
      ...absorbed,
      tokenRows,
      angles,
      isInterleaved,
      q: heads,
      out: latentHeads,
      numTokens,
    }),
    latentAttention(kernels, {
      cache,
      tokenRows,
      blockTables,
      maxBlocks,
      heads: latentHeads,
      numHeads,
      scale: scoreScale,
      numTokens,
    }),
    ...latentValue(kernels, { ...absorbed, seen: latentHeads, y: heads, numTokens }),
    ...projection(kernels, {
      weight: operand(matrices, "output"),
      x: heads,
      y: hidden,
      bias: vectors["outputBias"] ?? null,
      accumulate: true,
      numRows: numTokens,
    }),
  ];
}

/** Queries of heads, straight from the hidden states or by way of a latent of their own. */
function queries(run: LayerRun): Dispatch[] {
  const { kernels, config, shape: { numTokens: numRows } } = run;
  const { matrices, vectors } = run.weights;
  const { queryRank } = latentAttentionOf(config);
  const normed = operand(run.scratch, "normed");
  const query = { weight: operand(matrices, "query"), y: operand(run.scratch, "heads"), numRows };
  if (queryRank === null) return projection(kernels, { ...query, x: normed });
  const down = operand(run.scratch, "queryDown");
  return [
    ...projection(kernels, {
      weight: operand(matrices, "queryDown"),
      x: normed,
      y: down,
      bias: vectors["queryDownBias"] ?? null,
      numRows,
    }),
    headNorm(kernels, {
      weight: operand(vectors, "queryNorm"),
      eps: LATENT_NORM_EPS,
      x: down,
      stride: queryRank,
      offset: 0,
      headDim: queryRank,
      numHeads: 1,
      numRows,
    }),
    ...projection(kernels, { ...query, x: down }),
  ];
}
