/**
 * How much runs at once: from what the owner chose to what stages and the KV pool are held to.
 *
 * @module
 */
import { BLOCK_SIZE, type ModelConfig } from "../core.ts";
import { type Architecture, largestStateBytes } from "../models/architecture.ts";
import { fixedPool, type PoolBounds } from "../pipeline/kv_pool.ts";
import { bufferBytes } from "../stage/buffer_sizes.ts";
import type { StageLimits } from "../stage/stage_limits.ts";

/** How much runs at once. Counts of tokens, unless said otherwise. */
export interface CapacityOptions {
  /**
   * Longest prompt and output together; null takes the model's, up to what the cache holds, and to
   * 16,384 where that depends on the devices.
   */
  readonly maxModelLength: number | null;
  /** KV cache, over all sequences; null takes what the devices have room for. */
  readonly kvTokens: number | null;
  /** Of a step; null takes 512, or as many as a stage has small buffers for. */
  readonly maxBatchTokens: number | null;
  readonly maxSequences: number;
}

/** As many sequences as suits most devices, in as much cache as they have room for. */
export const DEFAULT_CAPACITY: CapacityOptions = {
  maxModelLength: null,
  kvTokens: null,
  maxBatchTokens: null,
  maxSequences: 32,
};

/** A model as far as memory goes. */
export interface CapacityModel {
  readonly architecture: Pick<Architecture, "scratchColumns" | "layerMemory">;
  readonly config: ModelConfig;
}

/** What a pipeline is held to. */
export interface Capacity {
  readonly limits: Omit<StageLimits, "numBlocks">;
  readonly pool: PoolBounds;
}

/** Longest sequence unless one is chosen: layers are given out so that the cache holds it. */
const DEFAULT_LENGTH = 16_384;
/** Where devices are too small for that, sequences are cut short, but not below this. */
const LEAST_LENGTH = 2_048;
/**
 * Of a pool in a CPU's memory, or one longest sequence if that is more: it is the user's memory, and
 * llvmpipe takes 5 s a GB to clear it at the start.
 */
const MOST_SOFTWARE_TOKENS = 16_384;

/** Saved states for each running sequence: its newest, and one that it shares or may go back to. */
const STATES_EACH = 2;
/** Tokens of a step where no number is chosen: large matrices get no faster with more. */
const DEFAULT_BATCH_TOKENS = 512;
/** Of these, full tiles of kernels. */
const BATCH_TOKENS_STEP = 16;
/** What the buffers of a stage may take then, beside weights and cache. */
const BUFFER_BYTES = 64 << 20;
/** A binding that every device has: WebGPU's own limit. */
const LEAST_BINDING_BYTES = 128 << 20;

/** The limits for a model: the cache holds at least one longest sequence if that is chosen. */
export function capacityOf(model: CapacityModel, options: CapacityOptions): Capacity {
  const { maxModelLength: chosenLength, kvTokens } = options;
  // Every running sequence takes a token of each step.
  const maxSequences = Math.min(options.maxSequences, options.maxBatchTokens ?? Infinity);
  const maxModelLength = Math.min(
    chosenLength ?? model.config.maxPositions,
    kvTokens ?? chosenLength ?? DEFAULT_LENGTH,
  );
  const limits = {
    ...{ maxModelLength, maxSequences, maxSamples: maxSequences },
    numSavedStates: savedStates(maxSequences, largestStateBytes(model)),
  };
  return {
    limits: {
      ...limits,
      maxBatchTokens: options.maxBatchTokens ?? affordableBatchTokens(model, limits),
    },
    pool: kvTokens === null
      ? automaticPool({ maxModelLength, maxSequences, isChosen: chosenLength !== null })
      : fixedPool(blocks(kvTokens), advice(kvTokens, "tokens of KV cache (--kv-tokens)")),
  };
}

/** The most tokens, up to the default, whose buffers are small on any stage: one each at least. */
function affordableBatchTokens(
  model: CapacityModel,
  limits: Omit<Capacity["limits"], "maxBatchTokens">,
): number {
  let maxBatchTokens = Math.max(DEFAULT_BATCH_TOKENS, limits.maxSequences);
  const isAffordable = (hasHead: boolean) =>
    bufferBytes({ ...model, limits: { ...limits, maxBatchTokens }, hasHead }) <= BUFFER_BYTES;
  while (maxBatchTokens > limits.maxSequences && !(isAffordable(false) && isAffordable(true))) {
    maxBatchTokens = Math.max(limits.maxSequences, maxBatchTokens - BATCH_TOKENS_STEP);
  }
  return maxBatchTokens;
}

/** As many as are of use, and as one binding holds beside the states of running sequences. */
function savedStates(maxSequences: number, stateBytes: number): number {
  if (stateBytes === 0) return 0;
  const numBindable = Math.floor(LEAST_BINDING_BYTES / stateBytes) - maxSequences;
  return Math.max(1, Math.min(STATES_EACH * maxSequences, numBindable));
}

/** From one longest sequence to one for each that runs. */
function automaticPool({ maxModelLength, maxSequences, isChosen }: {
  readonly maxModelLength: number;
  readonly maxSequences: number;
  /** The length is the owner's wish, so that no less will do. */
  readonly isChosen: boolean;
}): PoolBounds {
  const wantedBlocks = blocks(maxModelLength);
  const mostBlocks = maxSequences * wantedBlocks;
  const softwareBlocks = Math.max(wantedBlocks, blocks(MOST_SOFTWARE_TOKENS));
  return {
    ...{ wantedBlocks, mostBlocks },
    leastBlocks: isChosen ? wantedBlocks : Math.min(wantedBlocks, blocks(LEAST_LENGTH)),
    mostSoftwareBlocks: Math.min(mostBlocks, softwareBlocks),
    advice: isChosen
      ? advice(maxModelLength, "as the longest sequence (--max-model-length)")
      : null,
  };
}

function blocks(numTokens: number): number {
  return Math.ceil(numTokens / BLOCK_SIZE);
}

function advice(chosen: number, what: string): string {
  return `use less than ${chosen.toLocaleString("en-US")} ${what}`;
}
