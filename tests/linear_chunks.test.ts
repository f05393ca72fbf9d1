/** Linear attention in chunks: the logits of token by token, however a prompt is cut and what runs beside it. */
import { expect, test } from "vitest";
import type { BatchSlice } from "../src/core.ts";
import { openGoldenCase } from "../src/golden.ts";
import { defaultTuning } from "../src/kernels/tuning.ts";
import { loadLocalPipeline } from "../src/local_pipeline.ts";
import { FileStore } from "../src/platform/file_store.ts";
import { expectWithin } from "./kernels/expect_within.ts";
import { openTestGpu } from "./kernels/gpu.ts";

const LIMITS = {
  ...{ numBlocks: 8, maxModelLength: 64, maxBatchTokens: 96 },
  ...{ maxSequences: 2, maxSamples: 96, numSavedStates: 1 },
};
const SAMPLE = {
  ...{ temperature: 0, topP: 1, topK: 0, minP: 0, seed: 0, tokenIndex: 0 },
  wantsLogits: true,
};
/** Tokens of each step, of two sequences with the same prompt. */
const CUTS = [
  [[45], [45]],
  [[16, 16, 13], [1, 16, 28]],
  [[7, 16, 1, 21], [45]],
  [new Array<number>(45).fill(1), [1, 1, 43]],
];

const { context } = await openTestGpu();

test.each(["qwen3-next", "qwen3-next-dense", "qwen3-next-mixed"])(
  "%s has the logits of the recurrent form for every cut",
  async (name) => {
    const [expected] = await logitsOf(name, { isDeterministic: true, cuts: [[45]] });
    expect(expected!.some((logit) => logit !== 0)).toBe(true);
    const bounds = await boundsOf(name, expected!);
    for (const cuts of CUTS) {
      for (const actual of await logitsOf(name, { isDeterministic: false, cuts })) {
        expectWithin(actual, { values: Float64Array.from(expected!), bounds }, cuts.join(" | "));
      }
    }
  },
);

/**
 * 1e-4, or how far f32 is off at a token: some of the random model's vectors nearly cancel, where
 * the recurrent form and transformers differ by more.
 */
async function boundsOf(name: string, logits: Float32Array): Promise<Float64Array> {
  const { source, inputs } = await openGoldenCase(new FileStore(`tests/golden/${name}`), name);
  await source.close();
  const { inputIds, logits: golden } = inputs[1]!;
  const vocabSize = golden.length / inputIds.length;
  const bounds = new Float64Array(golden.length);
  for (let start = 0; start < golden.length; start += vocabSize) {
    let worst = 1e-4;
    for (let i = start; i < start + vocabSize; i++) {
      worst = Math.max(worst, Math.abs(logits[i]! - golden[i]!));
    }
    bounds.fill(worst, start, start + vocabSize);
  }
  return bounds;
}

/** Of the longer golden input, each sequence cut in its way. */
async function logitsOf(
  name: string,
  { isDeterministic, cuts }: {
    readonly isDeterministic: boolean;
    readonly cuts: readonly (readonly number[])[];
  },
): Promise<Float32Array[]> {
  const { source, inputs } = await openGoldenCase(new FileStore(`tests/golden/${name}`), name);
  const { inputIds } = inputs[1]!;
  const { pipeline } = await loadLocalPipeline({
    ...{ context, source, numStages: 1 },
    limits: () => LIMITS,
    tuning: defaultTuning(context.capabilities, { isDeterministic, useF16Kv: false }),
  });
  const logits = cuts.map(() => [] as number[]);
  const done = cuts.map(() => 0);
  for (let stepId = 0; cuts.some((cut) => stepId < cut.length); stepId++) {
    const slices: BatchSlice[] = cuts.flatMap((cut, slot) => {
      const numTokens = cut[stepId];
      if (numTokens === undefined) return [];
      const startPosition = done[slot]!;
      done[slot]! += numTokens;
      return [{
        ...{ sequenceId: slot, slot, startPosition, sample: SAMPLE },
        tokenIds: Uint32Array.from(inputIds.slice(startPosition, done[slot])),
        blockTable: Uint32Array.from(
          { length: Math.ceil(done[slot]! / 16) },
          (_, block) => 7 - (2 * block + slot),
        ),
      }];
    });
    for (const { sequenceId, logits: rows } of await pipeline.forward({ stepId, slices })) {
      logits[sequenceId]!.push(...rows!);
    }
  }
  pipeline.close();
  await source.close();
  return logits.map((rows) => Float32Array.from(rows));
}
