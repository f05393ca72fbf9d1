/**
 * Compares a checkpoint's logits and greedy continuation with what another implementation stored
 * beside it in golden.safetensors.
 *
 * @module
 */
import { BLOCK_SIZE, DEFAULT_SAMPLING } from "./core.ts";
import { Engine } from "./engine.ts";
import type { GoldenCase, GoldenInput } from "./golden.ts";
import type { GpuContext } from "./gpu/context.ts";
import type { Tuning } from "./kernels/tuning.ts";
import { loadLocalPipeline } from "./local_pipeline.ts";
import type { Pipeline } from "./pipeline/pipeline.ts";
import type { ModelSource } from "./weights/model_source.ts";

/** The outcome of one case. */
export interface CaseReport {
  readonly case: string;
  readonly ok: boolean;
  /** Largest difference of a logit, over all positions of all inputs; null if it did not run. */
  readonly maxAbsError: number | null;
  readonly greedyMatch: boolean;
  readonly stages: number;
  readonly adapter: string;
  /** Why it did not run. */
  readonly error?: string;
}

/** What runs the cases. */
export interface VerifyOptions {
  readonly context: GpuContext;
  readonly tuning: Tuning;
  readonly numStages: number;
  /** Largest allowed difference of a logit. */
  readonly tolerance: number;
}

/** Runs one case. Never throws: what goes wrong is in the report. */
export async function verifyCase(
  name: string,
  options: VerifyOptions,
  open: () => Promise<GoldenCase>,
): Promise<CaseReport> {
  const { context, numStages, tolerance } = options;
  const base = { case: name, stages: numStages, adapter: context.capabilities.adapterName };
  try {
    const { source, inputs } = await open();
    try {
      const { maxAbsError, greedyMatch, stages } = await compare(source, inputs, options);
      // A NaN compares as false, and so fails.
      const ok = maxAbsError <= tolerance && greedyMatch;
      return { ...base, ok, maxAbsError, greedyMatch, stages };
    } finally {
      await source.close();
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ...base, ok: false, maxAbsError: null, greedyMatch: false, error: message };
  }
}

async function compare(
  source: ModelSource,
  inputs: readonly GoldenInput[],
  { context, tuning, numStages }: VerifyOptions,
): Promise<{ maxAbsError: number; greedyMatch: boolean; stages: number }> {
  const longest = Math.max(...inputs.map((i) => i.inputIds.length + i.greedy.length));
  const numBlocks = Math.ceil(longest / BLOCK_SIZE) + 1;
  const limits = {
    numBlocks,
    maxModelLength: longest + 1,
    maxBatchTokens: longest,
    maxSequences: 1,
    maxSamples: longest,
  };
  const { pipeline, config } = await loadLocalPipeline({
    ...{ context, tuning, source, numStages },
    limits: () => limits,
  });
  const engine = new Engine({ pipeline, scheduler: limits, vocabSize: config.vocabSize });
  try {
    let maxAbsError = 0;
    let greedyMatch = true;
    for (const input of inputs) {
      const found = await logitsOf(pipeline, input.inputIds);
      maxAbsError = Math.max(maxAbsError, largestDifference(found, input.logits));
      const greedy = await decodeGreedily(engine, input);
      greedyMatch &&= greedy.every((id, i) => id === input.greedy[i]) &&
        greedy.length === input.greedy.length;
    }
    return { maxAbsError, greedyMatch, stages: pipeline.numStages };
  } finally {
    await engine.close();
    pipeline.close();
  }
}

/** Logits of every position, by one prefill. */
async function logitsOf(pipeline: Pipeline, inputIds: readonly number[]): Promise<Float32Array> {
  const numBlocks = Math.ceil(inputIds.length / BLOCK_SIZE);
  const [output] = await pipeline.forward({
    stepId: 0,
    slices: [{
      sequenceId: 0,
      startPosition: 0,
      tokenIds: Uint32Array.from(inputIds),
      blockTable: Uint32Array.from({ length: numBlocks }, (_, block) => block),
      sample: { ...DEFAULT_SAMPLING, tokenIndex: 0, wantsLogits: true },
    }],
  });
  return output?.logits ?? new Float32Array(0);
}

/** The continuation by real decoding: prefill, then one token a step through the KV cache. */
async function decodeGreedily(
  engine: Engine,
  { inputIds, greedy }: GoldenInput,
): Promise<number[]> {
  const tokens: number[] = [];
  const sampling = { ...DEFAULT_SAMPLING, maxTokens: greedy.length };
  for await (const event of engine.generate(inputIds, sampling)) tokens.push(...event.tokenIds);
  return tokens;
}

function largestDifference(found: Float32Array, expected: Float32Array): number {
  if (found.length !== expected.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((found[i] ?? NaN) - (expected[i] ?? NaN));
    if (!(difference <= largest)) largest = difference;
    if (Number.isNaN(largest)) return NaN;
  }
  return largest;
}
