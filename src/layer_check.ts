/**
 * Which layer of a model is wrong. Each gets the hidden states that another implementation gave to
 * its own, and what it makes of them is compared: so no layer answers for the error of one before.
 *
 * @module
 */
import { type Batch, BLOCK_SIZE, DEFAULT_SAMPLING, type ModelConfig, type Shard } from "./core.ts";
import type { GoldenInput } from "./golden.ts";
import type { Stage, StageOutput } from "./stage/stage.ts";

/** Where a model first differs: by layer, then by input, then by position. */
export interface Fault {
  /** What is wrong. Nothing is stored between the last layer, the final norm and the head. */
  readonly where: "embedding" | "layer" | "last layer or head";
  /** Null for the embedding. The last of several layers between which nothing is stored. */
  readonly layer: number | null;
  /** N of the file's `input_ids.N`. */
  readonly input: number;
  /** The first token that differs. */
  readonly position: number;
}

/** How each layer compares. */
export interface LayerCheck {
  /**
   * Entry L: the largest error of what becomes the input of layer L, by the embedding for 0 and by
   * layer L - 1 for others; null where nothing is stored.
   */
  readonly errors: readonly (number | null)[];
  /** Null where every error is within the tolerance. */
  readonly fault: Fault | null;
}

interface LayerCheckOptions {
  readonly config: ModelConfig;
  readonly tolerance: number;
  /** The stage becomes the check's. */
  readonly loadStage: (shard: Shard) => Promise<Stage>;
}

/** How two blocks of rows compare. */
interface Comparison {
  readonly largest: number;
  /** The first row above the tolerance. */
  readonly firstOff: number | null;
}

/**
 * Runs the embedding, then each layer by itself, on every input: one stage is loaded at a time.
 * `tolerance` bounds the error of a hidden state as a share of its token's size (`hiddenError`), and
 * of a logit as it is. Hidden states of layers that the model lacks are passed over: some files end
 * with those after the final norm.
 *
 * Throws an Error for hidden states of another size, and what `loadStage` and stages throw.
 */
export async function checkLayers(
  inputs: readonly GoldenInput[],
  { config, tolerance, loadStage }: LayerCheckOptions,
): Promise<LayerCheck> {
  const { numLayers } = config;
  const errors: (number | null)[] = [];
  let fault: Fault | null = null;
  let given: readonly (Float32Array | null)[] = inputs.map(() => null);
  for (let layer = 0; layer <= numLayers; layer++) {
    const outputs = await outputsOf(await loadStage(shardBefore(layer, numLayers)), inputs, given);
    const compared = outputs.map((output, i) =>
      output.type === "hidden"
        ? compareHidden(output.values, storedHidden(inputs, { i, layer, config }), {
          ...{ config, tolerance },
        })
        : compareLogits(output, inputs[i]!, { config, tolerance })
    );
    if (layer < numLayers) errors.push(largestOf(compared));
    const input = compared.findIndex((comparison) => (comparison?.firstOff ?? null) !== null);
    const position = compared[input]?.firstOff ?? null;
    if (position !== null) fault ??= { ...culprit(layer, numLayers), input, position };
    given = outputs.map((output, i) =>
      inputs[i]!.hidden.get(layer) ?? (output.type === "hidden" ? output.values : null)
    );
  }
  return { errors, fault };
}

/** A prompt in one piece, with the logits of every position. */
export function promptBatch(inputIds: readonly number[]): Batch {
  const numBlocks = Math.ceil(inputIds.length / BLOCK_SIZE);
  return {
    stepId: 0,
    slices: [{
      sequenceId: 0,
      slot: 0,
      startPosition: 0,
      tokenIds: Uint32Array.from(inputIds),
      blockTable: Uint32Array.from({ length: numBlocks }, (_, block) => block),
      sample: { ...DEFAULT_SAMPLING, tokenIndex: 0, wantsLogits: true },
    }],
  };
}

/** What makes the input of `layer`, or the logits where there is no such layer. */
function shardBefore(layer: number, numLayers: number): Shard {
  return {
    startLayer: Math.max(layer - 1, 0),
    endLayer: layer,
    hasEmbedding: layer === 0,
    hasHead: layer === numLayers,
  };
}

function culprit(layer: number, numLayers: number): Pick<Fault, "where" | "layer"> {
  if (layer === 0) return { where: "embedding", layer: null };
  return { where: layer === numLayers ? "last layer or head" : "layer", layer: layer - 1 };
}

async function outputsOf(
  stage: Stage,
  inputs: readonly GoldenInput[],
  given: readonly (Float32Array | null)[],
): Promise<StageOutput[]> {
  try {
    const outputs: StageOutput[] = [];
    for (const [i, { inputIds }] of inputs.entries()) {
      outputs.push(await stage.forward(promptBatch(inputIds), given[i] ?? null));
    }
    return outputs;
  } finally {
    stage.close();
  }
}

function storedHidden(
  inputs: readonly GoldenInput[],
  { i, layer, config }: {
    readonly i: number;
    readonly layer: number;
    readonly config: ModelConfig;
  },
): Float32Array | null {
  const { inputIds, hidden } = inputs[i]!;
  const stored = hidden.get(layer) ?? null;
  const expected = inputIds.length * config.hiddenSize;
  if (stored !== null && stored.length !== expected) {
    throw new Error(
      `"hidden.${i}.${layer}" has ${stored.length} elements, expected ${inputIds.length} tokens x ` +
        `${config.hiddenSize}`,
    );
  }
  return stored;
}

function compareHidden(
  found: Float32Array,
  expected: Float32Array | null,
  { config: { hiddenSize, rmsNormEps: eps }, tolerance }: Omit<LayerCheckOptions, "loadStage">,
): Comparison | null {
  if (expected === null) return null;
  return compareRows(expected.length / hiddenSize, tolerance, (row) => {
    const [start, end] = [row * hiddenSize, (row + 1) * hiddenSize];
    return hiddenError(found.subarray(start, end), expected.subarray(start, end), eps);
  });
}

/**
 * The largest difference of one token's hidden states, as a share of their size: the square root of
 * their mean square + `eps`. The next norm divides by just that, so it is the error of what the
 * layers compute from, however large hidden states grow with depth.
 */
export function hiddenError(found: Float32Array, expected: Float32Array, eps: number): number {
  const meanSquare = expected.reduce((sum, value) => sum + value * value, 0) / expected.length;
  const difference = largestDifference(found, expected);
  return difference === 0 ? 0 : difference / Math.sqrt(meanSquare + eps);
}

function compareLogits(
  output: Extract<StageOutput, { type: "tokens" }>,
  { inputIds, logits: expected }: GoldenInput,
  { config: { vocabSize }, tolerance }: Omit<LayerCheckOptions, "loadStage">,
): Comparison {
  const found = output.tokens[0]?.logits ?? new Float32Array(0);
  return compareRows(inputIds.length, tolerance, (row) => {
    const [start, end] = [row * vocabSize, (row + 1) * vocabSize];
    return largestDifference(found.subarray(start, end), expected.subarray(start, end));
  });
}

function compareRows(
  numRows: number,
  tolerance: number,
  errorOf: (row: number) => number,
): Comparison {
  const errors = Array.from({ length: numRows }, (_, row) => errorOf(row));
  // A NaN is off, and the largest.
  const firstOff = errors.findIndex((error) => !(error <= tolerance));
  return { largest: Math.max(0, ...errors), firstOff: firstOff < 0 ? null : firstOff };
}

function largestOf(comparisons: readonly (Comparison | null)[]): number | null {
  const errors = comparisons.flatMap((comparison) => comparison?.largest ?? []);
  return errors.length === 0 ? null : Math.max(...errors);
}

/** Infinity where the lengths differ, NaN where a value is one. */
export function largestDifference(found: Float32Array, expected: Float32Array): number {
  if (found.length !== expected.length) return Infinity;
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(found[i]! - value)), 0);
}
