import { afterAll, describe, expect, test } from "vitest";
import type { Batch } from "../../src/core.ts";
import { openGoldenCase } from "../../src/golden.ts";
import type { GpuContext } from "../../src/gpu/context.ts";
import { defaultTuning } from "../../src/kernels/tuning.ts";
import { loadLocalPipeline } from "../../src/local_pipeline.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import { warmUp } from "../../src/pipeline/warm_up.ts";
import { FileStore } from "../../src/platform/file_store.ts";
import type { StageLimits } from "../../src/stage/stage_limits.ts";
import { openNullGpu } from "../kernels/null_gpu.ts";
import { hashChainStages } from "./hash_chain.ts";

/** Compiles, and computes nothing: compiling is all that matters here. */
const context = await openNullGpu(32);
afterAll(() => context.destroy());
const LIMITS: StageLimits = {
  numBlocks: 400,
  maxModelLength: 96,
  maxBatchTokens: 100,
  maxSequences: 80,
  numSavedStates: 0,
  maxSamples: 80,
};

/** The context with a list of the shaders that it was asked for. */
function countShaders(): { readonly context: GpuContext; readonly labels: string[] } {
  const labels: string[] = [];
  const device = new Proxy(context.device, {
    get: (target, name) => {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (name === "createShaderModule") {
          labels.push((args[0] as GPUShaderModuleDescriptor).label ?? "");
        }
        return value.apply(target, args);
      };
    },
  });
  return { context: { ...context, device }, labels };
}

/** Each picks its kernels in its own way. */
const MODES = {
  "deterministic": { isDeterministic: true },
  "fast": { isDeterministic: false, sliceFewTokens: false },
  "fast with slices": { isDeterministic: false, sliceFewTokens: true },
} as const;

const SAMPLE = { temperature: 0.5, topP: 0.9, topK: 5, minP: 0.1, seed: 1, tokenIndex: 0 };
const PENALTIES = {
  ...{ presence: 1, frequency: 1, repetition: 2 },
  tokenIds: Uint32Array.of(3),
  outputCounts: Uint32Array.of(1),
};

/** What requests may bring: chunks, decodes of any number, copies, tokens drawn a step before. */
function requestBatches({ numStages, maxSequences }: {
  readonly numStages: number;
  readonly maxSequences: number;
}): Batch[] {
  const sequence = (id: number, numTokens: number) => ({
    ...{ sequenceId: id, slot: id, startPosition: 0, tokenIds: new Uint32Array(numTokens) },
    blockTable: Uint32Array.from({ length: Math.ceil(numTokens / 16) }, (_, i) => 4 * id + i),
    sample: { ...SAMPLE, penalties: PENALTIES },
  });
  const copy = { blockCopy: { from: 1, to: 0 } };
  const batches: Batch[] = [
    { stepId: 0, slices: [sequence(0, 20)] },
    ...[2, 3, 4, 7, 10, 18, 33, 64, 65, 90].map((length) => ({
      stepId: 0,
      slices: [sequence(0, length)],
    })),
    { stepId: 0, slices: [{ ...sequence(0, 3), ...copy }, sequence(1, 20)] },
  ];
  for (const size of [1, 2, 3, 5, 8, 15, 16, 32, 33, 64, 65, 80]) {
    if (size > maxSequences) break;
    const slices = Array.from({ length: size }, (_, id) => sequence(id, 1));
    batches.push({ stepId: 0, slices });
    if (numStages > 1) continue;
    const ahead = slices.map((slice) => ({ ...slice, startPosition: 1, takesDrawn: true }));
    batches.push({ stepId: 0, slices: ahead });
  }
  return batches;
}

describe("warmUp()", () => {
  for (const [numStages, maxSequences] of [[1, 80], [3, 80], [1, 3]] as const) {
    for (const [mode, chosen] of Object.entries(MODES)) {
      const kind = `${numStages} stages, ${maxSequences} sequences, ${mode}`;
      test(`leaves no shader for a request to wait for: ${kind}`, async () => {
        const limits = { ...LIMITS, maxSequences, maxSamples: maxSequences };
        const { source } = await openGoldenCase(new FileStore("tests/golden/llama"), "llama");
        const device = countShaders();
        const { pipeline } = await loadLocalPipeline({
          ...{ context: device.context, source, numStages, limits: () => limits },
          tuning: defaultTuning(context.capabilities, { ...chosen, useF16Kv: false }),
        });
        await warmUp(pipeline, limits);
        const compiled = device.labels.splice(0);
        expect(compiled.some((label) => label.startsWith("copy_blocks"))).toBe(true);
        expect(compiled.some((label) => label.startsWith("copy_tokens"))).toBe(numStages === 1);
        for (const batch of requestBatches({ numStages, maxSequences })) {
          await pipeline.forward(batch);
        }
        expect(device.labels).toEqual([]);
        pipeline.close();
      });
    }
  }

  test("keeps within the smallest limits", async () => {
    const smallest = { numBlocks: 1, maxModelLength: 1, maxBatchTokens: 1, maxSequences: 1 };
    const stages = hashChainStages(1, { numBlocks: 1 });
    const pipeline = new Pipeline({ stages, numLayers: 1 });
    await warmUp(pipeline, { ...smallest, maxSamples: 1, numSavedStates: 0 });
  });
});
