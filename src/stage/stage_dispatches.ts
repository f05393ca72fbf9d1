import type { ModelConfig, Shard } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import type { KernelContext } from "../kernels/context.ts";
import { copyBlocks } from "../kernels/copy_blocks.ts";
import { copyStates } from "../kernels/copy_states.ts";
import { copyTokens } from "../kernels/copy_tokens.ts";
import { embed } from "../kernels/embed.ts";
import { penalize } from "../kernels/penalize.ts";
import { projection } from "../kernels/projection.ts";
import { rmsNorm } from "../kernels/rms_norm.ts";
import { sample } from "../kernels/sample.ts";
import { softcap } from "../kernels/softcap.ts";
import type { Architecture, BatchShape } from "../models/architecture.ts";
import { stateBufferOf } from "../models/layer_memory.ts";
import type { StageBuffers } from "./stage_buffers.ts";
import type { StageWeights } from "./stage_weights.ts";

/** What a stage computes with. */
export interface StageParts {
  readonly kernels: KernelContext;
  readonly architecture: Architecture;
  readonly config: ModelConfig;
  readonly shard: Shard;
  readonly weights: StageWeights;
  readonly buffers: StageBuffers;
}

/** What a step has beside the layers. */
export interface StepExtras {
  readonly copiesBlocks: boolean;
  readonly takesDrawn: boolean;
  readonly hasPenalties: boolean;
  readonly restoresStates: boolean;
  readonly savesStates: boolean;
}

/** The kernels of one step, in order: copies, embed, layers, head, as far as the shard has them. */
export function stageDispatches(
  parts: StageParts,
  { shape, extras }: { readonly shape: BatchShape; readonly extras: StepExtras },
): Dispatch[] {
  const { kernels, architecture, config, shard } = parts;
  const { batch, hidden, scratch, caches, head, blockCopies: pairs } = parts.buffers;
  const { embedding, layers } = parts.weights;
  const dispatches: Dispatch[] = [];
  if (extras.copiesBlocks) {
    for (const cache of caches.values()) {
      if (cache.type !== "state") dispatches.push(copyBlocks(kernels, { cache, pairs }));
    }
  }
  if (extras.restoresStates) dispatches.push(...stateCopies(parts, parts.buffers.stateRestores));
  if (extras.takesDrawn && head !== null) {
    dispatches.push(copyTokens(kernels, {
      pairs: head.takenTokens,
      mostPairs: shape.numTokens,
      source: head.lastTokens,
      destination: batch.tokenIds,
    }));
  }
  if (embedding !== null && shard.hasEmbedding) {
    const { numTokens } = shape;
    const { tokenIds } = batch;
    const scale = config.embeddingScale;
    const call = { weight: embedding, tokenIds, out: hidden, numTokens, scale };
    dispatches.push(...embed(kernels, call));
  }
  for (const [layer, weights] of layers) {
    const cache = caches.get(layer)!;
    const angles = anglesOfLayer(parts, layer);
    dispatches.push(...architecture.decoderLayer({
      ...{ kernels, config, layer, weights, cache, angles, shape, batch, hidden, scratch },
    }));
  }
  if (extras.savesStates) dispatches.push(...stateCopies(parts, parts.buffers.stateSaves));
  return [...dispatches, ...headDispatches(parts, shape.numSamples, extras)];
}

/** What `ropeOfLayer` gives. */
function anglesOfLayer({ config, buffers }: StageParts, layer: number): GPUBuffer {
  const slides = (config.slidingWindows[layer] ?? null) !== null;
  return slides ? buffers.slidingAngles ?? buffers.angles : buffers.angles;
}

/** Copies in every buffer of every layer that keeps states. */
function stateCopies({ kernels, buffers }: StageParts, pairs: GPUBuffer): Dispatch[] {
  return [...buffers.caches.values()].flatMap((cache) =>
    cache.type !== "state"
      ? []
      : Object.entries(cache.columns).map(([name, numCols]) =>
        copyStates(kernels, { states: stateBufferOf(cache, name), numCols, pairs })
      )
  );
}

function headDispatches(
  { kernels, config, shard, weights, buffers }: StageParts,
  numSamples: number,
  { hasPenalties }: StepExtras,
): Dispatch[] {
  const { finalNorm, head: weight } = weights;
  const { head, hidden, batch } = buffers;
  if (head === null || finalNorm === null || weight === null || numSamples === 0) return [];
  const { logits, normed, tokens } = head;
  const call = { logits, vocabSize: config.vocabSize, numSamples };
  return [
    rmsNorm(kernels, {
      weight: finalNorm,
      hasUnitOffset: config.hasUnitOffsetNorms,
      eps: config.rmsNormEps,
      x: hidden,
      y: normed,
      numCols: config.hiddenSize,
      numRows: numSamples,
      sampleRows: batch.sampleRows,
    }),
    ...projection(kernels, {
      weight,
      x: normed,
      y: logits,
      rowKind: "samples",
      numRows: numSamples,
    }),
    ...(config.logitCap === null ? [] : [softcap(kernels, { ...call, cap: config.logitCap })]),
    ...(hasPenalties
      ? penalize(kernels, { ...call, rows: head.penaltyRows, entries: head.penaltyEntries })
      : []),
    ...sample(kernels, { ...call, params: head.sampleParams, tokens }),
    // For the next step, which may be submitted before these tokens are read.
    ...(shard.hasEmbedding
      ? [copyTokens(kernels, {
        pairs: head.drawnTokens,
        mostPairs: numSamples,
        source: tokens,
        destination: head.lastTokens,
      })]
      : []),
  ];
}
