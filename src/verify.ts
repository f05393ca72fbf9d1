/**
 * Compares a checkpoint's logits and greedy continuation with what another implementation stored
 * beside it in golden.safetensors.
 *
 * @module
 */
import { BLOCK_SIZE, DEFAULT_SAMPLING } from "./core.ts";
import { Engine, type EnginePipeline } from "./engine.ts";
import type { GoldenCase, GoldenInput } from "./golden.ts";
import type { GpuContext } from "./gpu/context.ts";
import type { Tuning } from "./kernels/tuning.ts";
import { loadLocalPipeline } from "./local_pipeline.ts";
import { largestStateBytes } from "./models/architecture.ts";
import { architectureOf } from "./models/registry.ts";
import type { Clock } from "./platform/platform.ts";
import type { StageLimits } from "./stage/stage_limits.ts";
import type { ModelSource } from "./weights/model_source.ts";

/** The outcome of one case. */
export interface CaseReport {
  readonly case: string;
  readonly ok: boolean;
  /** Largest difference of a logit, over all positions of all inputs; null if it did not run. */
  readonly maxAbsError: number | null;
  readonly greedyMatch: boolean;
  readonly stages: number;
  /** Processes that the stages ran on; 0 for this one. */
  readonly peers: number;
  readonly adapter: string;
  /** Why it did not run. */
  readonly error?: string;
}

/** Where cases run. */
export interface VerifyTarget {
  /** Known once a model was opened. */
  readonly adapter: string;
  /** Wanted stages; a model of fewer layers has fewer. */
  readonly numStages: number;
  /** 0 for this process. */
  readonly numPeers: number;
  /** Loads a model, which stays the caller's. Throws when it cannot be run. */
  open(source: ModelSource, limits: StageLimits): Promise<VerifyPipeline>;
}

/** One model, ready. */
export interface VerifyPipeline {
  readonly pipeline: EnginePipeline;
  readonly vocabSize: number;
  close(): void;
}

/** Runs cases on stages of this process. */
export function localTarget({ context, tuning, numStages }: {
  readonly context: GpuContext;
  readonly tuning: Tuning;
  readonly numStages: number;
}): VerifyTarget {
  return {
    adapter: context.capabilities.adapterName,
    numStages,
    numPeers: 0,
    open: async (source, limits) => {
      const { pipeline, config } = await loadLocalPipeline({
        ...{ context, tuning, source, numStages },
        limits: () => limits,
      });
      return { pipeline, vocabSize: config.vocabSize, close: () => pipeline.close() };
    },
  };
}

/**
 * Runs one case; a difference of a logit may be `tolerance`. Never throws: what goes wrong is in the
 * report.
 */
export async function verifyCase(
  name: string,
  { target, tolerance, clock }: {
    readonly target: VerifyTarget;
    readonly tolerance: number;
    readonly clock: Clock;
  },
  open: () => Promise<GoldenCase>,
): Promise<CaseReport> {
  const { numStages, numPeers } = target;
  const base = () => ({ case: name, peers: numPeers, adapter: target.adapter });
  try {
    const { source, inputs } = await open();
    try {
      const { maxAbsError, greedyMatch, stages } = await compare(source, inputs, { target, clock });
      // A NaN compares as false, and so fails.
      const ok = maxAbsError <= tolerance && greedyMatch;
      return { ...base(), stages, ok, maxAbsError, greedyMatch };
    } finally {
      await source.close();
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const failed = { ok: false, maxAbsError: null, greedyMatch: false, error: message };
    return { ...base(), stages: numStages, ...failed };
  }
}

async function compare(
  source: ModelSource,
  inputs: readonly GoldenInput[],
  { target, clock }: { readonly target: VerifyTarget; readonly clock: Clock },
): Promise<{ maxAbsError: number; greedyMatch: boolean; stages: number }> {
  const longest = Math.max(...inputs.map((i) => i.inputIds.length + i.greedy.length));
  const limits = {
    numBlocks: Math.ceil(longest / BLOCK_SIZE) + 1,
    maxModelLength: longest + 1,
    maxBatchTokens: longest,
    maxSequences: 1,
    numSavedStates: keepsStates(source) ? 1 : 0,
    maxSamples: longest,
  };
  const { pipeline, vocabSize, close } = await target.open(source, limits);
  const { numStages: stages } = pipeline;
  const engine = new Engine({ pipeline, scheduler: limits, vocabSize, clock });
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
    return { maxAbsError, greedyMatch, stages };
  } finally {
    await engine.close();
    close();
  }
}

function keepsStates({ hfConfig }: ModelSource): boolean {
  const architecture = architectureOf(hfConfig);
  return largestStateBytes({ architecture, config: architecture.readConfig(hfConfig) }) > 0;
}

/** Logits f32 [inputIds.length, vocabSize] of every position, by one prefill. */
export async function logitsOf(
  pipeline: Pick<EnginePipeline, "forward">,
  inputIds: readonly number[],
): Promise<Float32Array> {
  const numBlocks = Math.ceil(inputIds.length / BLOCK_SIZE);
  const [output] = await pipeline.forward({
    stepId: 0,
    slices: [{
      sequenceId: 0,
      slot: 0,
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
