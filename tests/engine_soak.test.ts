import { expect, it } from "vitest";
import { DEFAULT_SAMPLING, type SamplingParams } from "../src/core.ts";
import { Engine, type GenerateOptions, TimeoutError } from "../src/engine.ts";
import { Pipeline } from "../src/pipeline/pipeline.ts";
import { ManualClock } from "./server/clocks.ts";
import { CountingSignal } from "./counting_signal.ts";
import { expectedOutput, hashChainStages, settle, VOCAB_SIZE } from "./pipeline/hash_chain.ts";
import { Lcg } from "./lcg.ts";

const NUM_REQUESTS = 10_000;
/** Requests that are there at once. */
const NUM_AT_ONCE = 24;
const LIMITS = { numBlocks: 40, maxModelLength: 96, maxBatchTokens: 48, maxSequences: 12 };

it("10,000 random requests with random ends leave nothing behind", async () => {
  const random = new Lcg(4);
  const clock = new ManualClock();
  const signal = new CountingSignal();
  let numSteps = 0;
  const stages = hashChainStages(1, {
    numBlocks: LIMITS.numBlocks,
    onBatch: () => {
      numSteps++;
      engine.checkIntegrity();
    },
  });
  const pipeline = new Pipeline({ stages, numLayers: 1 });
  const engine = new Engine({ pipeline, scheduler: LIMITS, vocabSize: VOCAB_SIZE, clock });
  const ends: Record<string, number> = {};
  let numStarted = 0;

  const request = async () => {
    const { prompt, sampling, ...rest } = randomRequest(random);
    const aborting = new CountingSignal(signal);
    const options: GenerateOptions = { ...rest.options, signal: aborting.signal };
    const stream = engine.generate(prompt, sampling, options);
    const tokenIds: number[] = [];
    let end = "left";
    try {
      for await (const event of stream) {
        tokenIds.push(...event.tokenIds);
        if (event.finishReason !== null) end = event.finishReason;
        if (rest.endAfter === tokenIds.length) {
          if (random.below(2) === 0) break;
          aborting.abort();
        }
        if (random.below(40) === 0) clock.advance(10);
      }
    } catch (error) {
      expect(error).toBeInstanceOf(TimeoutError);
      end = "timeout";
    }
    ends[end] = (ends[end] ?? 0) + 1;
    const { maxModelLength } = engine;
    const expected = expectedOutput(prompt, { sampling, numStages: 1, maxModelLength });
    const isWhole = end === "stop" || end === "length";
    expect(tokenIds).toEqual(
      isWhole ? expected.tokenIds : expected.tokenIds.slice(0, tokenIds.length),
    );
  };
  const user = async () => {
    while (numStarted++ < NUM_REQUESTS) await request();
  };
  await Promise.all(Array.from({ length: NUM_AT_ONCE }, user));
  for (let i = 0; i < 20; i++) await settle();

  engine.checkIntegrity();
  const { numRunning, numWaiting, numFreeBlocks, ...totals } = engine.stats();
  expect({ numRunning, numWaiting, numFreeBlocks }).toEqual({
    numRunning: 0,
    numWaiting: 0,
    numFreeBlocks: LIMITS.numBlocks,
  });
  expect({ timers: clock.numSleepers, listeners: signal.numListeners }).toEqual({
    timers: 0,
    listeners: 0,
  });
  expect(numSteps).toBeGreaterThan(1000);
  expect(totals.numPreemptions).toBeGreaterThan(100);
  expect(totals.numCachedPromptTokens).toBeGreaterThan(1000);
  for (const end of ["stop", "length", "abort", "left", "timeout"]) {
    expect(ends[end], end).toBeGreaterThan(100);
  }
});

function randomRequest(random: Lcg) {
  const family = random.below(3);
  const numShared = random.below(60);
  const prompt = [
    ...Array.from({ length: numShared }, (_, i) => (i * 7 + family) % VOCAB_SIZE),
    ...Array.from({ length: 1 + random.below(12) }, () => random.below(VOCAB_SIZE)),
  ];
  const sampling: SamplingParams = {
    ...DEFAULT_SAMPLING,
    maxTokens: 1 + random.below(20),
    temperature: random.below(2),
    seed: random.below(9),
    repetitionPenalty: random.below(8) === 0 ? 1.25 : 1,
    stopTokenIds: random.below(2) === 0 ? [3, 17] : [],
  };
  const options: GenerateOptions = {
    priority: random.below(3) === 0 ? "batch" : "interactive",
    clientId: `${random.below(4)}`,
    cacheSalt: `${random.below(2)}`,
    ...(random.below(4) === 0 && { timeoutMs: 5 + random.below(200) }),
  };
  return { prompt, sampling, options, endAfter: random.below(3) === 0 ? random.below(10) : -1 };
}
