/** A whole model with experts on a stage: its weights' proof, small bindings, sequences together. */
import { expect, test } from "vitest";
import { type BatchSlice, DEFAULT_SAMPLING } from "../../src/core.ts";
import { openGoldenCase } from "../../src/golden.ts";
import { type GpuContext, withCapabilities } from "../../src/gpu/context.ts";
import { defaultTuning } from "../../src/kernels/tuning.ts";
import { architectureOf } from "../../src/models/registry.ts";
import { FileStore } from "../../src/platform/file_store.ts";
import { LocalStage } from "../../src/stage/local_stage.ts";
import { openTestGpu } from "../kernels/gpu.ts";

const { context } = await openTestGpu();
const { source, inputs } = await openGoldenCase(
  new FileStore("tests/golden/glm4-moe-groups"),
  "glm4-moe-groups",
);
const architecture = architectureOf(source.hfConfig);
const config = architecture.readConfig(source.hfConfig);

function load(
  device: GpuContext,
  isDeterministic: boolean,
  maxBatchTokens = 128,
): Promise<LocalStage> {
  return LocalStage.load({
    ...{ context: device, architecture, config, source },
    tuning: defaultTuning(context.capabilities, { isDeterministic, useF16Kv: false }),
    shard: { startLayer: 0, endLayer: config.numLayers, hasEmbedding: true, hasHead: true },
    limits: {
      numBlocks: 16,
      maxModelLength: 64,
      maxBatchTokens,
      maxSequences: 4,
      numSavedStates: 0,
      maxSamples: maxBatchTokens,
    },
  });
}

/** A prompt in blocks of its own, with the logits of every token. */
function slice(slot: number, tokenIds: readonly number[], startPosition = 0): BatchSlice {
  const numBlocks = Math.ceil((startPosition + tokenIds.length) / 16);
  return {
    ...{ sequenceId: slot, slot, startPosition },
    tokenIds: Uint32Array.from(tokenIds),
    blockTable: Uint32Array.from({ length: numBlocks }, (_, i) => 4 * slot + i),
    sample: { ...DEFAULT_SAMPLING, tokenIndex: 0, wantsLogits: true },
  };
}

async function logitsOf(stage: LocalStage, slices: readonly BatchSlice[]) {
  const output = await stage.forward({ stepId: 0, slices }, null);
  if (output.type !== "tokens") throw new Error("The stage has a head");
  return output.tokens.map(({ logits }) => logits!);
}

test.each([true, false])("experts in several parts, deterministic: %s", async (isSoThen) => {
  // Eight experts of 6 KiB.
  const small = withCapabilities(context, { maxBindingBytes: 50_000 });
  const stage = await load(small, isSoThen, 45);
  await stage.checkWeights();
  const [logits] = await logitsOf(stage, [slice(0, inputs[1]!.inputIds)]);
  stage.close();
  const error = logits!.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - inputs[1]!.logits[i]!)),
    0,
  );
  expect(error).toBeLessThan(1e-3);
});

test("sequences at other positions leave a sequence's bits alone", async () => {
  const stage = await load(context, true);
  const { inputIds } = inputs[1]!;
  const [alone] = await logitsOf(stage, [slice(0, inputIds)]);
  await logitsOf(stage, [slice(1, inputIds.slice(0, 20)), slice(2, inputIds.slice(5, 12))]);
  const [decoded, together, continued] = await logitsOf(stage, [
    slice(1, inputIds.slice(20, 21), 20),
    slice(0, inputIds),
    slice(2, inputIds.slice(12, 30), 7),
  ]);
  stage.close();
  const bits = (values: Float32Array) => new Uint32Array(values.slice().buffer);
  const { vocabSize } = config;
  expect(bits(together!)).toEqual(bits(alone!));
  expect(bits(decoded!)).toEqual(bits(alone!.subarray(20 * vocabSize, 21 * vocabSize)));
  expect(continued!.length).toBe(18 * vocabSize);
});
