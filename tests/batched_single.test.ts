/**
 * Deterministic runs: a stream has the same tokens alone and among 31 others, with its prefix cached
 * or not, in prompts cut at any size, after preemptions, on one stage and on three.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Batch,
  BLOCK_SIZE,
  DEFAULT_SAMPLING,
  type Priority,
  type SamplingParams,
} from "../src/core.ts";
import { Engine, type EnginePipeline } from "../src/engine.ts";
import { openGoldenCase } from "../src/golden.ts";
import { defaultTuning } from "../src/kernels/tuning.ts";
import { loadLocalPipeline } from "../src/local_pipeline.ts";
import type { Pipeline } from "../src/pipeline/pipeline.ts";
import { FileStore } from "../src/platform/file_store.ts";
import { systemClock } from "../src/platform/system.ts";
import type { SchedulerOptions } from "../src/scheduler/options.ts";
import { openTestGpu } from "./kernels/gpu.ts";
import { Random } from "./kernels/random.ts";

const VOCAB_SIZE = 256;
/** With both of ours they are 32. */
const NUM_OTHERS = 30;
const LIMITS = {
  numBlocks: 320,
  maxModelLength: 256,
  maxBatchTokens: 512,
  maxSequences: 32,
  maxSamples: 32,
};

const { context } = await openTestGpu();
const pipelines: Pipeline[] = [];
afterAll(() => pipelines.forEach((pipeline) => pipeline.close()));

async function openPipeline(name: string, numStages: number): Promise<Pipeline> {
  const { source } = await openGoldenCase(new FileStore(`tests/golden/${name}`), name);
  const { pipeline } = await loadLocalPipeline({
    ...{ context, source, numStages },
    limits: () => ({ ...LIMITS, numSavedStates: savedStates(name) }),
    tuning: defaultTuning(context.capabilities, { isDeterministic: true, useF16Kv: false }),
  });
  pipelines.push(pipeline);
  return pipeline;
}

/** Two for each sequence of a model with linear attention. */
function savedStates(name: string): number {
  return name === "qwen3-next" ? 2 * LIMITS.maxSequences : 0;
}

/** An engine whose batches can be looked at. */
class Bench {
  readonly engine: Engine;
  readonly batches: Batch[] = [];

  constructor(pipeline: EnginePipeline, options: Partial<SchedulerOptions> = {}) {
    const { maxSamples: _, ...limits } = LIMITS;
    this.engine = new Engine({
      pipeline: {
        numStages: pipeline.numStages,
        forward: (batch) => {
          this.batches.push(batch);
          return pipeline.forward(batch);
        },
      },
      scheduler: { ...limits, ...options },
      vocabSize: VOCAB_SIZE,
      clock: systemClock,
    });
  }

  async run(
    { prompt, sampling, ...terms }: Stream,
    onTokens: () => void = () => {},
  ): Promise<Outcome> {
    const tokenIds: number[] = [];
    let numCachedTokens = 0;
    for await (const event of this.engine.generate(prompt, sampling, terms)) {
      tokenIds.push(...event.tokenIds);
      onTokens();
      numCachedTokens = event.numCachedTokens;
      this.engine.checkIntegrity();
    }
    return { tokenIds, numCachedTokens };
  }

  /** Runs ours after the others, all of them together; only what becomes of ours is told. */
  async runAmong(others: readonly Stream[]): Promise<Outcome[]> {
    const streams = [...others, ...OURS].map((stream) => this.run(stream));
    return (await Promise.all(streams)).slice(-OURS.length);
  }

  /** Whether a sequence computed much again that it had computed before. */
  hasRestarted(sequenceId: number): boolean {
    const starts = this.slices().filter((slice) => slice.sequenceId === sequenceId)
      .map(({ startPosition }) => startPosition);
    return starts.some((start, i) => start < (starts[i - 1] ?? 0) / 2);
  }

  slices() {
    return this.batches.flatMap(({ slices }) => slices);
  }
}

interface Stream {
  readonly prompt: readonly number[];
  readonly sampling: SamplingParams;
  readonly cacheSalt: string;
  readonly priority?: Priority;
}

interface Outcome {
  readonly tokenIds: readonly number[];
  readonly numCachedTokens: number;
}

function promptOf(random: Random, length: number): number[] {
  return Array.from({ length }, () => random.below(VOCAB_SIZE));
}

/** Not whole blocks: the last one of the prompt is shared and copied. */
const PROMPT = promptOf(new Random(1), 123);
/** One greedy, one sampled with everything on; neither has the other's prefix. */
const OURS: readonly Stream[] = [
  { prompt: PROMPT, sampling: { ...DEFAULT_SAMPLING, maxTokens: 40 }, cacheSalt: "greedy" },
  {
    prompt: PROMPT,
    sampling: {
      ...{ ...DEFAULT_SAMPLING, maxTokens: 40, temperature: 1.5, topP: 0.95, minP: 0.01 },
      ...{ seed: 8, frequencyPenalty: 0.25, repetitionPenalty: 1.1 },
    },
    cacheSalt: "sampled",
  },
];

/** Long and short, greedy and sampled; some start like ours. */
function others(seed: number): Stream[] {
  const random = new Random(seed);
  return Array.from({ length: NUM_OTHERS }, (_, i) => {
    const shared = i % 5 === 0 ? PROMPT.slice(0, 16 * random.below(6)) : [];
    return {
      prompt: [...shared, ...promptOf(random, 1 + random.below(60))],
      sampling: {
        ...{ ...DEFAULT_SAMPLING, maxTokens: 1 + random.below(24) },
        ...{ temperature: i % 2, seed: i, presencePenalty: i % 3 },
      },
      cacheSalt: i % 5 === 0 ? "greedy" : "",
    };
  });
}

describe.each(["llama", "deepseek-v3", "qwen3-next", "gpt-oss"])("%s", (name) => {
  const numSavedStates = savedStates(name);
  /** What of the prompt is computed in one piece where states are saved: whole blocks. */
  const numWhole = numSavedStates > 0 ? PROMPT.length - PROMPT.length % BLOCK_SIZE : null;
  const opened = new Map<number, Promise<Pipeline>>();
  const pipelineOf = (numStages: number) => {
    const known = opened.get(numStages) ?? openPipeline(name, numStages);
    opened.set(numStages, known);
    return known;
  };
  /** Alone, from an empty cache, with the prompt in one piece. */
  const expected: (readonly number[])[] = [];
  beforeAll(async () => {
    const pipeline = await pipelineOf(1);
    for (const stream of OURS) {
      expected.push((await new Bench(pipeline, { numSavedStates }).run(stream)).tokenIds);
    }
  });
  const tokensOf = (outcomes: readonly Outcome[]) => outcomes.map(({ tokenIds }) => tokenIds);

  test("the two streams differ, and end by their length", () => {
    const [greedy, sampled] = expected;
    expect([greedy, sampled].map((tokenIds) => tokenIds?.length)).toEqual([40, 40]);
    expect(sampled).not.toEqual(greedy);
  });

  for (const [chunk, maxSequences] of [[16, 16], [64, 32], [512, 32]] as const) {
    test(`chunks of ${chunk}: alone and among 31 others, cold and cached`, async () => {
      const options = { maxBatchTokens: chunk, maxSequences, numSavedStates };
      const pipeline = await pipelineOf(1);
      const alone = new Bench(pipeline, options);
      for (const [i, stream] of OURS.entries()) {
        expect((await alone.run(stream)).tokenIds).toEqual(expected[i]);
      }
      const longest = Math.max(...alone.slices().map(({ tokenIds }) => tokenIds.length));
      expect(longest).toBe(Math.min(chunk, numWhole ?? PROMPT.length));
      expect(alone.slices().some(({ takesDrawn }) => takesDrawn)).toBe(true);

      const bench = new Bench(pipeline, options);
      expect(tokensOf(await bench.runAmong(others(2)))).toEqual(expected);
      const most = Math.max(...bench.batches.map(({ slices }) => slices.length));
      expect(most).toBeGreaterThan(maxSequences / 4);
      // The same again: now their prompts are cached, but for what is left to compute.
      const cached = await bench.runAmong(others(3));
      expect(tokensOf(cached)).toEqual(expected);
      for (const { numCachedTokens } of cached) {
        // Saved states are fewer than blocks: those of the others may have taken their places.
        if (numWhole === null) expect(numCachedTokens).toBe(PROMPT.length - 1);
      }
      expect(bench.slices().some(({ blockCopy }) => blockCopy)).toBe(numWhole === null);
    }, 60_000);
  }

  // A step's tokens that 30 decodes leave for the first prompt of ours, and for what is left of it.
  for (const chunk of [16, 64, 512]) {
    test(`chunks of ${chunk} beside 30 streams that decode: 32 in a step`, async () => {
      const bench = new Bench(await pipelineOf(1), { maxBatchTokens: NUM_OTHERS + chunk });
      const random = new Random(5);
      const started = Array.from({ length: NUM_OTHERS }, () => Promise.withResolvers<void>());
      const running = started.map(({ resolve }, i) =>
        bench.run({
          prompt: promptOf(random, 2 + random.below(12)),
          sampling: { ...DEFAULT_SAMPLING, maxTokens: 75, temperature: i % 2, seed: i },
          cacheSalt: "",
        }, resolve)
      );
      await Promise.all(started.map(({ promise }) => promise));
      const ours = OURS.map((stream) => bench.run(stream));
      expect(tokensOf(await Promise.all(ours))).toEqual(expected);
      const longest = bench.slices().filter(({ sequenceId }) => sequenceId >= NUM_OTHERS)
        .reduce((most, { tokenIds }) => Math.max(most, tokenIds.length), 0);
      expect(longest).toBe(Math.min(chunk, PROMPT.length));
      const numFull = bench.batches.filter(({ slices }) => slices.length === 32).length;
      expect(numFull).toBeGreaterThan(20);
      await Promise.all(running);
    }, 60_000);
  }

  test("after preemptions, when their blocks were given to others", async () => {
    const bench = new Bench(await pipelineOf(1), {
      ...{ numBlocks: 24, maxBatchTokens: 64, numSavedStates },
    });
    // More than the pool holds, together.
    const urgent = others(4).slice(0, 12).map((stream, i) => ({
      ...stream,
      prompt: promptOf(new Random(i), 60),
      sampling: { ...stream.sampling, maxTokens: 24 },
    }));
    const started = OURS.map(() => Promise.withResolvers<void>());
    const ours = OURS.map((stream, id) =>
      bench.run({ ...stream, priority: "batch" }, () => started[id]!.resolve())
    );
    await Promise.all(started.map(({ promise }) => promise));
    await Promise.all(urgent.map((stream) => bench.run(stream)));
    expect(tokensOf(await Promise.all(ours))).toEqual(expected);
    expect(OURS.map((_, id) => bench.hasRestarted(id))).toEqual([true, true]);
  }, 60_000);

  test("three stages", async () => {
    const bench = new Bench(await pipelineOf(3), { maxBatchTokens: 64, numSavedStates });
    expect(tokensOf(await bench.runAmong(others(5)))).toEqual(expected);
    const cached = await bench.run(OURS[0]!);
    expect(cached.tokenIds).toEqual(expected[0]);
    expect(cached.numCachedTokens).toBeGreaterThan(100);
  }, 60_000);
});
