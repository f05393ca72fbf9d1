/**
 * A few small batches, run twice: what a whole shard must not get wrong.
 *
 * @module
 */
import { type Batch, BLOCK_SIZE, DEFAULT_SAMPLING, type ModelConfig } from "../core.ts";
import type { Stage, StageOutput } from "./stage.ts";
import type { StageLimits } from "./stage_limits.ts";

/** Tokens of each batch, all of one sequence: decodes, and before them a prefill where it differs. */
const NUM_TOKENS = { deterministic: [1, 1, 1], fast: [20, 1] } as const;

/** Between two runs that need not be deterministic, relative to the largest element. */
const REPEAT_ERROR = 1e-3;

/** What the batches are made for. */
export interface KnownBatchOptions {
  readonly config: ModelConfig;
  readonly limits: StageLimits;
  /** Two runs must agree to the bit. */
  readonly isDeterministic: boolean;
}

interface KnownBatch {
  readonly batch: Batch;
  readonly hidden: Float32Array | null;
}

/**
 * Runs the batches twice; returns what is wrong with the outputs, in words, or null. It leaves K and
 * V in the first blocks, where no sequence reads before it has written its own.
 */
export async function knownBatchProblem(
  stage: Stage,
  options: KnownBatchOptions,
): Promise<string | null> {
  const batches = knownBatches(stage, options);
  const first = await outputsOf(stage, batches);
  const second = await outputsOf(stage, batches);
  for (const [i, output] of first.entries()) {
    const values = valuesOf(output);
    const problem = valuesProblem(values) ?? tokenProblem(output, options.config) ??
      repeatProblem(values, valuesOf(second[i]!), options.isDeterministic);
    if (problem !== null) return problem;
  }
  return null;
}

async function outputsOf(stage: Stage, batches: readonly KnownBatch[]): Promise<StageOutput[]> {
  const outputs: StageOutput[] = [];
  for (const { batch, hidden } of batches) outputs.push(await stage.forward(batch, hidden));
  return outputs;
}

function knownBatches(
  { shard }: Stage,
  { config, limits, isDeterministic }: KnownBatchOptions,
): KnownBatch[] {
  const mostRows = Math.min(limits.maxBatchTokens, shard.hasHead ? limits.maxSamples : Infinity);
  const mostTokens = Math.min(limits.maxModelLength, limits.numBlocks * BLOCK_SIZE);
  const batches: KnownBatch[] = [];
  let startPosition = 0;
  for (const wanted of isDeterministic ? NUM_TOKENS.deterministic : NUM_TOKENS.fast) {
    const numTokens = Math.min(wanted, mostRows, mostTokens - startPosition);
    if (numTokens === 0) break;
    const noise = noiseOf(numTokens * config.hiddenSize, batches.length);
    const end = startPosition + numTokens;
    const slice = {
      sequenceId: 0,
      slot: 0,
      startPosition,
      tokenIds: Uint32Array.from(
        noise.subarray(0, numTokens),
        (value) => Math.floor((value + 1) / 2 * config.vocabSize),
      ),
      blockTable: Uint32Array.from({ length: Math.ceil(end / BLOCK_SIZE) }, (_, i) => i),
      ...(shard.hasHead && { sample: { ...DEFAULT_SAMPLING, tokenIndex: 0, wantsLogits: true } }),
    };
    batches.push({
      batch: { stepId: batches.length, slices: [slice] },
      // Uniform over [-1, 1) times this has a root mean square of 1.
      hidden: shard.hasEmbedding ? null : noise.map((value) => value * Math.sqrt(3)),
    });
    startPosition = end;
  }
  return batches;
}

/** Fixed numbers within [-1, 1) without a pattern. */
function noiseOf(length: number, seed: number): Float32Array {
  let state = 0x2545f491 + seed;
  return Float32Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 8) / 2 ** 23 - 1;
  });
}

/** Hidden states, or the logits of all tokens. */
function valuesOf(output: StageOutput): Float32Array {
  if (output.type === "hidden") return output.values;
  return output.tokens[0]?.logits ?? new Float32Array(0);
}

function valuesProblem(values: Float32Array): string | null {
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) return `element ${wrong} of the output is ${values[wrong]}`;
  return values.every((value) => value === values[0]) ? "all of the output is alike" : null;
}

function tokenProblem(output: StageOutput, { vocabSize }: ModelConfig): string | null {
  if (output.type === "hidden") return null;
  const [token] = output.tokens;
  const logits = token?.logits?.subarray(-vocabSize);
  if (token === undefined || logits === undefined) return "no token was drawn";
  const best = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  return logits[token.tokenId] === best
    ? null
    : `token ${token.tokenId} was drawn, whose logit is not the highest`;
}

function repeatProblem(
  first: Float32Array,
  second: Float32Array,
  isDeterministic: boolean,
): string | null {
  if (first.length !== second.length) {
    return `the output has ${first.length} elements once and ${second.length} the next time`;
  }
  const largest = first.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const bound = isDeterministic ? 0 : REPEAT_ERROR * largest;
  const wrong = first.findIndex((value, i) => !(Math.abs(value - second[i]!) <= bound));
  return wrong < 0
    ? null
    : `element ${wrong} of the output is ${first[wrong]} once and ${second[wrong]} the next time`;
}
