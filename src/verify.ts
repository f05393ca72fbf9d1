/**
 * Compares a checkpoint's logits and greedy continuation with what another implementation stored
 * beside it in golden.safetensors, and its hidden states, which tell the layer that is wrong.
 *
 * @module
 */
import { BLOCK_SIZE, DEFAULT_SAMPLING, type Shard } from "./core.ts";
import { Engine, type EnginePipeline } from "./engine.ts";
import type { GoldenCase, GoldenInput } from "./golden.ts";
import type { GpuContext } from "./gpu/context.ts";
import type { Tuning } from "./kernels/tuning.ts";
import { checkLayers, type Fault, largestDifference, promptBatch } from "./layer_check.ts";
import { loadLocalPipeline } from "./local_pipeline.ts";
import { largestStateBytes } from "./models/architecture.ts";
import { architectureOf } from "./models/registry.ts";
import type { Clock } from "./platform/platform.ts";
import { LocalStage } from "./stage/local_stage.ts";
import type { Stage } from "./stage/stage.ts";
import type { StageLimits } from "./stage/stage_limits.ts";
import type { ModelSource } from "./weights/model_source.ts";

/** The outcome of one case. */
export interface CaseReport {
  readonly case: string;
  /**
   * Logits are within the tolerance, and the greedy continuation is equal. Hidden states have no
   * part in it: a model is what it answers, and other implementations may store other states; an
   * error of a layer that matters is one of the logits, too.
   */
  readonly ok: boolean;
  /** Largest difference of a logit, over all positions of all inputs; null if it did not run. */
  readonly maxAbsError: number | null;
  readonly greedyMatch: boolean;
  /**
   * Largest error of a hidden state, as a share of its token's size, over all of `hiddenErrors`;
   * null where none were compared: none are stored, or the stages are on peers.
   */
  readonly maxHiddenError: number | null;
  /** Entry L: that of the input of layer L, computed from the stored input of the layer before. */
  readonly hiddenErrors: readonly (number | null)[] | null;
  /** What computes otherwise from stored hidden states; null also where none were compared. */
  readonly fault: Fault | null;
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
  /** Loads one shard in this process, which stays the caller's; null where there is no GPU for it. */
  readonly loadStage:
    | ((source: ModelSource, options: ShardOptions) => Promise<Stage>)
    | null;
}

/** What of a model to load. */
interface ShardOptions {
  readonly shard: Shard;
  readonly limits: StageLimits;
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
    loadStage: (source, options) => {
      const architecture = architectureOf(source.hfConfig);
      const config = architecture.readConfig(source.hfConfig);
      return LocalStage.load({ ...{ context, tuning, architecture, config, source }, ...options });
    },
  };
}

/**
 * Runs one case; a difference of a logit may be `tolerance`, and so may one of a hidden state as a
 * share of its token's size. Never throws: what goes wrong is in the report.
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
      const limits = limitsOf(source, inputs);
      const outcome = await compare(source, inputs, { target, limits, clock });
      // A NaN compares as false, and so fails.
      const ok = outcome.maxAbsError <= tolerance && outcome.greedyMatch;
      const layers = await compareLayers(source, inputs, { target, limits, tolerance });
      return { ...base(), ok, ...outcome, ...layers };
    } finally {
      await source.close();
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const failed = { ok: false, maxAbsError: null, greedyMatch: false, error: message };
    return { ...base(), stages: numStages, ...failed, ...NOT_COMPARED };
  }
}

const NOT_COMPARED = { maxHiddenError: null, hiddenErrors: null, fault: null };

function limitsOf(source: ModelSource, inputs: readonly GoldenInput[]): StageLimits {
  const longest = Math.max(...inputs.map((i) => i.inputIds.length + i.greedy.length));
  return {
    numBlocks: Math.ceil(longest / BLOCK_SIZE) + 1,
    maxModelLength: longest + 1,
    maxBatchTokens: longest,
    maxSequences: 1,
    numSavedStates: keepsStates(source) ? 1 : 0,
    maxSamples: longest,
  };
}

async function compare(
  source: ModelSource,
  inputs: readonly GoldenInput[],
  { target, limits, clock }: {
    readonly target: VerifyTarget;
    readonly limits: StageLimits;
    readonly clock: Clock;
  },
): Promise<Pick<CaseReport, "greedyMatch" | "stages"> & { readonly maxAbsError: number }> {
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

/** Where this process has the GPU and the file the hidden states. */
async function compareLayers(
  source: ModelSource,
  inputs: readonly GoldenInput[],
  { target: { loadStage }, limits, tolerance }: {
    readonly target: VerifyTarget;
    readonly limits: StageLimits;
    readonly tolerance: number;
  },
): Promise<Pick<CaseReport, "maxHiddenError" | "hiddenErrors" | "fault">> {
  if (loadStage === null || inputs.every(({ hidden }) => hidden.size === 0)) return NOT_COMPARED;
  const { errors: hiddenErrors, fault } = await checkLayers(inputs, {
    config: architectureOf(source.hfConfig).readConfig(source.hfConfig),
    tolerance,
    loadStage: (shard) => loadStage(source, { shard, limits }),
  });
  const compared = hiddenErrors.filter((error) => error !== null);
  return { maxHiddenError: Math.max(...compared), hiddenErrors, fault };
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
  const [output] = await pipeline.forward(promptBatch(inputIds));
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
