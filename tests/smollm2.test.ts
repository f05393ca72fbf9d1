/**
 * SmolLM2-135M-Instruct from its GGUF against transformers in float32 on the same dequantised
 * weights. The expectations and their generator are in tests/fixtures/smollm2.
 */
import { expect, test } from "vitest";
import { openLocalModel } from "../src/cli/open_model.ts";
import { DEFAULT_SAMPLING } from "../src/core.ts";
import { Engine } from "../src/engine.ts";
import { defaultTuning } from "../src/kernels/tuning.ts";
import { loadLocalPipeline } from "../src/local_pipeline.ts";
import { readModelText } from "../src/model_text.ts";
import { systemClock } from "../src/platform/system.ts";
import expected from "./fixtures/smollm2/expected.json" with { type: "json" };
import { openTestGpu } from "./kernels/gpu.ts";
import { smolLm2Path } from "./smollm2_gguf.ts";

const { context } = await openTestGpu();
const source = await openLocalModel(await smolLm2Path());
const text = await readModelText(source, () => new Date(0));
const limits = {
  numBlocks: 256,
  maxModelLength: 1536,
  maxBatchTokens: 128,
  maxSequences: 16,
  numSavedStates: 0,
  maxSamples: 128,
};
const tuning = defaultTuning(context.capabilities, { isDeterministic: true, useF16Kv: false });
const { pipeline, config } = await loadLocalPipeline({
  ...{ context, tuning, source },
  numStages: 1,
  limits: () => limits,
});

test("prompts render and encode as transformers renders and encodes them", () => {
  for (const { messages, prompt, promptIds } of expected.greedy) {
    if (messages !== undefined) {
      const conversation = messages.map(({ role, content }) => ({ role, content }));
      expect(text.chatTemplate.render(conversation as never)).toBe(prompt);
    }
    expect(text.tokenizer.encode(prompt, { addSpecialTokens: false })).toEqual(promptIds);
  }
  const { text: prose, ids } = expected.teacherForced;
  expect(text.tokenizer.encode(prose, { addSpecialTokens: false })).toEqual(ids);
});

test(
  "greedy continuations of 64 tokens equal transformers', all prompts in one batch",
  async () => {
    const engine = new Engine({
      ...{ pipeline, scheduler: limits, vocabSize: config.vocabSize, clock: systemClock },
    });
    const continuations = await Promise.all(expected.greedy.map(async ({ promptIds }) => {
      const tokens: number[] = [];
      const sampling = { ...DEFAULT_SAMPLING, maxTokens: 64 };
      for await (const event of engine.generate(promptIds, sampling)) {
        tokens.push(...event.tokenIds);
      }
      return tokens;
    }));
    engine.checkIntegrity();
    await engine.close();
    expect(continuations).toEqual(expected.greedy.map(({ greedyIds }) => greedyIds));
    const [france] = continuations;
    const answer = new TextDecoder().decode(
      Uint8Array.from(france!.flatMap((id) => [...text.tokenizer.tokenBytes(id)])),
    );
    expect(answer).toContain("Paris");
  },
  600_000,
);

test("teacher-forced top-1 agrees with transformers at 99.5 % of 1,338 positions", async () => {
  const { ids, top1, rows } = expected.teacherForced;
  let agreed = 0;
  for (let start = 0; start < ids.length; start += limits.maxBatchTokens) {
    const logits = await logitsOf(ids.slice(start, start + limits.maxBatchTokens), start);
    const numTokens = logits.length / config.vocabSize;
    for (let i = 0; i < numTokens; i++) {
      const row = logits.subarray(i * config.vocabSize, (i + 1) * config.vocabSize);
      if (argmax(row) === top1[start + i]) agreed++;
      const stored = rows.find(({ position }) => position === start + i);
      stored?.topIds.forEach((id, rank) => {
        expect(Math.abs(row[id]! - stored.topLogits[rank]!)).toBeLessThan(2e-3);
      });
    }
  }
  console.log(`Teacher-forced agreement: ${agreed} of ${ids.length}`);
  expect(ids.length).toBeGreaterThanOrEqual(1000);
  expect(agreed / ids.length).toBeGreaterThanOrEqual(0.995);
  pipeline.close();
  await source.close();
}, 600_000);

/** Logits f32 [tokenIds.length, vocabSize] of one chunk, after those before it. */
async function logitsOf(tokenIds: readonly number[], startPosition: number): Promise<Float32Array> {
  const numBlocks = Math.ceil((startPosition + tokenIds.length) / 16);
  const [output] = await pipeline.forward({
    stepId: startPosition,
    slices: [{
      sequenceId: 1,
      slot: 0,
      startPosition,
      tokenIds: Uint32Array.from(tokenIds),
      blockTable: Uint32Array.from({ length: numBlocks }, (_, block) => block),
      sample: { ...DEFAULT_SAMPLING, tokenIndex: 0, wantsLogits: true },
    }],
  });
  return output!.logits!;
}

function argmax(row: Float32Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i;
  return best;
}
