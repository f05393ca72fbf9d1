import { expect, test } from "vitest";
import fc from "fast-check";
import { type Batch, DEFAULT_SAMPLING, type SamplingParams } from "../src/core.ts";
import {
  CacheTooSmallError,
  Engine,
  type EngineOptions,
  RefusedError,
  TimeoutError,
  type TokenEvent,
} from "../src/engine.ts";
import { Pipeline } from "../src/pipeline/pipeline.ts";
import { PipelineLostError } from "../src/pipeline/pipeline_lost_error.ts";
import { StageError } from "../src/pipeline/stage_error.ts";
import {
  expectedOutput,
  type HashChainStage,
  hashChainStages,
  settle,
  VirtualDelays,
  VOCAB_SIZE,
} from "./pipeline/hash_chain.ts";
import { limits, prompt, sampling, terms } from "./scheduler/arbitraries.ts";
import { ManualClock } from "./server/clocks.ts";

interface BenchOptions extends Partial<EngineOptions["scheduler"]> {
  readonly numStages?: number;
  readonly delays?: VirtualDelays;
  readonly onBatch?: (batch: Batch, stageIndex: number) => void;
}

/** An engine on a hash-chain pipeline; checked each time a stage takes a batch. */
class Bench {
  readonly engine: Engine;
  readonly numStages: number;
  readonly stages: readonly HashChainStage[];
  readonly pipeline: Pipeline;
  readonly clock = new ManualClock();

  constructor({ numStages = 1, delays, onBatch, ...scheduler }: BenchOptions = {}) {
    const limits = {
      numBlocks: 64,
      maxModelLength: 200,
      maxBatchTokens: 32,
      maxSequences: 8,
      ...scheduler,
    };
    this.numStages = numStages;
    this.stages = hashChainStages(numStages, {
      numBlocks: limits.numBlocks,
      ...(delays === undefined ? {} : { delays }),
      onBatch: (batch, stageIndex) => {
        this.engine.checkIntegrity();
        onBatch?.(batch, stageIndex);
      },
    });
    this.pipeline = new Pipeline({ stages: this.stages, numLayers: numStages });
    this.engine = new Engine({
      pipeline: this.pipeline,
      scheduler: limits,
      vocabSize: VOCAB_SIZE,
      clock: this.clock,
    });
  }

  expected(prompt: readonly number[], sampling: SamplingParams) {
    const { numStages, engine: { maxModelLength } } = this;
    return expectedOutput(prompt, { sampling, numStages, maxModelLength });
  }

  expectIdle(): void {
    this.engine.checkIntegrity();
    const { numRunning, numWaiting, numFreeBlocks, numBlocks } = this.engine.stats();
    expect({ numRunning, numWaiting, numFreeBlocks }).toEqual({
      numRunning: 0,
      numWaiting: 0,
      numFreeBlocks: numBlocks,
    });
    expect(this.clock.numSleepers).toBe(0);
  }
}

async function collect(events: AsyncIterable<TokenEvent>) {
  const tokenIds: number[] = [];
  for await (const event of events) {
    tokenIds.push(...event.tokenIds);
    if (event.finishReason !== null) return { tokenIds, finishReason: event.finishReason };
  }
  throw new Error("The stream ended without a reason");
}

function sampled(maxTokens: number, more: Partial<SamplingParams> = {}): SamplingParams {
  return { ...DEFAULT_SAMPLING, maxTokens, ...more };
}

test("generate() gives the tokens that a sequence alone would get", async () => {
  const bench = new Bench();
  const output = await collect(bench.engine.generate([1, 2, 3], sampled(40)));
  expect(output).toEqual(bench.expected([1, 2, 3], sampled(40)));
  expect(output.tokenIds).toHaveLength(40);
  expect(bench.engine.stats()).toMatchObject({ numPromptTokens: 3, numGeneratedTokens: 40 });
  bench.expectIdle();
});

test("sequences that share batches get the same tokens as alone", async () => {
  const bench = new Bench({ numStages: 3, numBlocks: 20 });
  const prompts = Array.from({ length: 12 }, (_, i) => Array.from({ length: 5 + 7 * i }, () => i));
  const outputs = await Promise.all(
    prompts.map((prompt) => collect(bench.engine.generate(prompt, sampled(50)))),
  );
  expect(outputs).toEqual(prompts.map((prompt) => bench.expected(prompt, sampled(50))));
  expect(bench.engine.stats().numPreemptions).toBeGreaterThan(0);
  bench.expectIdle();
});

test("random requests, aborts, hang-ups and delays: every output is the lone sequence's", async () => {
  let numPreemptions = 0;
  const request = fc.record({
    prompt,
    sampling,
    terms,
    /** After how many ended delays it arrives, and is cut short. */
    arrival: fc.nat(60),
    end: fc.oneof(
      { weight: 3, arbitrary: fc.constant(null) },
      {
        weight: 1,
        arbitrary: fc.record({
          delay: fc.nat(200),
          how: fc.constantFrom("signal" as const, "return" as const),
        }),
      },
    ),
    /** Delays that pass between one read and the next. */
    pause: fc.constantFrom(0, 0, 5),
  });
  const scenario = fc.record({
    limits,
    requests: fc.array(request, { minLength: 1, maxLength: 10, size: "max" }),
    order: fc.infiniteStream(fc.nat()),
  });
  await fc.assert(
    fc.asyncProperty(scenario, async ({ limits, requests, order }) => {
      const delays = new VirtualDelays();
      const pauses = new Set<{ until: number; resolve(): void }>();
      const { numMicroBatches: numStages, numSavedStates: _, ...scheduler } = limits;
      const bench = new Bench({ ...scheduler, numStages, delays });
      let now = 0;
      const sleepUntil = (until: number) =>
        new Promise<void>((resolve) => pauses.add({ until, resolve }));

      const runs = requests.map(async ({ prompt, sampling, terms, arrival, end, pause }) => {
        await sleepUntil(arrival);
        if (prompt.length >= bench.engine.maxModelLength) {
          expect(() => bench.engine.generate(prompt, sampling)).toThrow(RefusedError);
          return;
        }
        const expected = bench.expected(prompt, sampling);
        const aborting = new AbortController();
        const events = bench.engine.generate(prompt, sampling, {
          signal: aborting.signal,
          ...terms,
        });
        if (end !== null) {
          sleepUntil(arrival + end.delay).then(() => {
            if (end.how === "signal") aborting.abort();
            else void events.return(undefined);
          });
        }
        const tokenIds: number[] = [];
        for await (const event of events) {
          tokenIds.push(...event.tokenIds);
          if (event.finishReason === "abort") break;
          if (event.finishReason !== null) {
            expect({ tokenIds, finishReason: event.finishReason }).toEqual(expected);
            return;
          }
          if (pause > 0) await sleepUntil(now + pause);
        }
        expect(end).not.toBeNull();
        expect(tokenIds).toEqual(expected.tokenIds.slice(0, tokenIds.length));
      });

      let isOver = false;
      const over = Promise.all(runs).finally(() => isOver = true);
      while (!isOver || delays.numPending > 0) {
        now++;
        expect(now).toBeLessThan(50_000);
        for (const pause of pauses) {
          if (pause.until > now) continue;
          pauses.delete(pause);
          pause.resolve();
        }
        if (delays.numPending > 0) delays.end(order.next().value!);
        await settle();
        bench.engine.checkIntegrity();
      }
      await over;
      numPreemptions += bench.engine.stats().numPreemptions;
      bench.expectIdle();
      for (const { stepIds } of bench.stages) {
        expect(stepIds).toEqual([...stepIds].sort((a, b) => a - b));
      }
    }),
    { numRuns: 200 },
  );
  expect(numPreemptions).toBeGreaterThan(5);
});

test("as many batches are in flight as there are stages, with decodes shared out", async () => {
  const delays = new VirtualDelays();
  const sizes: number[] = [];
  const bench = new Bench({
    numStages: 3,
    delays,
    maxBatchTokens: 8,
    onBatch: ({ slices }, stageIndex) => stageIndex === 0 && sizes.push(slices.length),
  });
  const outputs = Promise.all(
    [1, 2, 3, 4, 5, 6].map((id) => collect(bench.engine.generate([id, id], sampled(30)))),
  );
  let isFull = false;
  let isOver = false;
  outputs.finally(() => isOver = true);
  while (!isOver) {
    await settle();
    const [first, , last] = bench.stages.map((stage) => stage.stepIds.length);
    const numInside = first! - last!;
    expect(numInside).toBeLessThanOrEqual(3);
    isFull ||= numInside === 2 && delays.numPending === 3;
    delays.end(0);
  }
  expect(isFull).toBe(true);
  expect(Math.max(...sizes.slice(6))).toBe(2);
  bench.expectIdle();
});

test("a slow reader gets several tokens in one event and loses none", async () => {
  const bench = new Bench();
  const events = bench.engine.generate([4], sampled(30));
  const first = await events.next();
  for (let i = 0; i < 200; i++) await settle();
  const second = await events.next();
  expect(await events.next()).toEqual({ done: true, value: undefined });
  if (first.done || second.done) throw new Error("Too few events");
  expect([...first.value.tokenIds, ...second.value.tokenIds])
    .toEqual(bench.expected([4], sampled(30)).tokenIds);
  expect(second.value.finishReason).toBe("length");
});

test("reads that overlap are answered in order", async () => {
  const bench = new Bench();
  const events = bench.engine.generate([4], sampled(3));
  const results = await Promise.all([1, 2, 3, 4].map(() => events.next()));
  expect(results[2]).toMatchObject({ value: { finishReason: "length" } });
  const tokenIds = results.flatMap((result) => result.done ? [] : [...result.value.tokenIds]);
  expect(tokenIds).toEqual(bench.expected([4], sampled(3)).tokenIds);
  expect(results.map((result) => result.done)).toEqual([false, false, false, true]);
});

test("return() frees a sequence at once, even while a read is pending", async () => {
  const bench = new Bench({ delays: new VirtualDelays(), maxSequences: 1 });
  const running = bench.engine.generate([1], sampled(9));
  const waiting = bench.engine.generate([2], sampled(9));
  const reads = [running.next(), waiting.next()];
  await settle();
  expect(bench.engine.stats()).toMatchObject({ numRunning: 1, numWaiting: 1 });
  await Promise.all([running.return(undefined), waiting.return(undefined)]);
  bench.expectIdle();
  expect(await Promise.all(reads)).toEqual([
    { done: true, value: undefined },
    { done: true, value: undefined },
  ]);
});

test("what is not read before return() is dropped", async () => {
  const bench = new Bench();
  const events = bench.engine.generate([1], sampled(20));
  await events.next();
  for (let i = 0; i < 10; i++) await settle();
  await events.return(undefined);
  expect(await events.next()).toEqual({ done: true, value: undefined });
});

test("a cancelled sequence makes way while its last batch is still in flight", async () => {
  const delays = new VirtualDelays();
  const bench = new Bench({ numStages: 2, delays, maxSequences: 1 });
  const leaving = bench.engine.generate([1], sampled(9));
  const following = bench.engine.generate([2], sampled(9));
  const reads = [leaving.next(), following.next()];
  await settle();
  expect(bench.engine.stats()).toMatchObject({ numRunning: 1, numWaiting: 1 });
  await leaving.return(undefined);
  expect(bench.engine.stats()).toMatchObject({ numRunning: 1, numWaiting: 0 });
  while (delays.numPending > 0) {
    delays.end(0);
    await settle();
  }
  const { value } = (await Promise.all(reads))[1]!;
  const rest = await collect(following);
  expect([...(value as TokenEvent).tokenIds, ...rest.tokenIds])
    .toEqual(bench.expected([2], sampled(9)).tokenIds);
});

test("leaving a loop early frees the sequence", async () => {
  const bench = new Bench();
  for await (const _ of bench.engine.generate([1], sampled(90))) break;
  bench.expectIdle();
  const events = bench.engine.generate([1], sampled(90));
  await events.next();
  await expect(events.throw(new Error("Enough"))).rejects.toThrow("Enough");
  bench.expectIdle();
});

test("a stream that is left before its first read never joins the queue", async () => {
  const bench = new Bench();
  const events = bench.engine.generate([1], sampled(5));
  await events.return(undefined);
  expect(await events.next()).toEqual({ done: true, value: undefined });
  expect(bench.engine.stats().numPromptTokens).toBe(0);
});

test("an aborted signal ends the stream with the tokens it has", async () => {
  const bench = new Bench();
  const aborting = new AbortController();
  const events = bench.engine.generate([1], sampled(90), { signal: aborting.signal });
  const { value: first } = await events.next();
  aborting.abort();
  bench.expectIdle();
  const rest = await collect(events);
  expect(rest.finishReason).toBe("abort");
  const tokenIds = [...(first as TokenEvent).tokenIds, ...rest.tokenIds];
  const expected = bench.expected([1], sampled(90)).tokenIds;
  expect(tokenIds).toEqual(expected.slice(0, tokenIds.length));
});

test("a signal that was aborted before gives one event and runs nothing", async () => {
  const bench = new Bench();
  const events = bench.engine.generate([1], sampled(9), { signal: AbortSignal.abort() });
  expect(await collect(events)).toEqual({ tokenIds: [], finishReason: "abort" });
  expect(bench.stages[0]!.stepIds).toEqual([]);
});

test("signals keep no listener of a stream that is over", async () => {
  const bench = new Bench();
  const { signal } = new AbortController();
  let numListeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  Object.assign(signal, {
    addEventListener: (type: string, listener: () => void) => {
      numListeners++;
      add(type, listener);
    },
    removeEventListener: (type: string, listener: () => void) => {
      numListeners--;
      remove(type, listener);
    },
  });
  await collect(bench.engine.generate([1], sampled(3), { signal }));
  const events = bench.engine.generate([1], sampled(3), { signal });
  await events.next();
  expect(numListeners).toBe(1);
  await events.return(undefined);
  expect(numListeners).toBe(0);
});

test("a failed batch ends its own sequences with its error, and the engine goes on", async () => {
  const bench = new Bench({
    numStages: 2,
    onBatch: ({ slices }, stageIndex) => {
      const isDoomed = slices.some((slice) =>
        slice.tokenIds[0] === 13 && slice.startPosition === 0
      );
      if (isDoomed && stageIndex === 1) throw new Error("The device is lost");
    },
  });
  const sound = collect(bench.engine.generate([1, 2], sampled(40)));
  await settle();
  const failing = collect(bench.engine.generate([13], sampled(40)));
  await expect(failing).rejects.toThrow(StageError);
  await expect(failing).rejects.toThrow('failed in stage "1": The device is lost');
  await sound.catch(() => {});
  bench.expectIdle();
  const again = await collect(bench.engine.generate([7], sampled(20)));
  expect(again).toEqual(bench.expected([7], sampled(20)));
  bench.expectIdle();
});

test("tokens read before a failure are kept, then the error is thrown once", async () => {
  let numBatches = 0;
  const bench = new Bench({
    onBatch: () => {
      if (++numBatches > 3) throw new Error("The device is lost");
    },
  });
  const events = bench.engine.generate([1], sampled(9));
  const tokenIds: number[] = [];
  const { value } = await events.next();
  for (let i = 0; i < 50; i++) await settle();
  tokenIds.push(...(value as TokenEvent).tokenIds);
  const second = await events.next();
  tokenIds.push(...(second.value as TokenEvent).tokenIds);
  expect(tokenIds).toEqual(bench.expected([1], sampled(9)).tokenIds.slice(0, 3));
  await expect(events.next()).rejects.toThrow("The device is lost");
  expect(await events.next()).toEqual({ done: true, value: undefined });
  bench.expectIdle();
});

test("a stage that draws nonsense fails the batch", async () => {
  for (const tokens of [[], [{ sequenceId: 0, tokenId: NaN }], [{ sequenceId: 5, tokenId: 1 }]]) {
    const engine = new Engine({
      pipeline: { numStages: 1, forward: () => Promise.resolve(tokens) },
      scheduler: { numBlocks: 4, maxModelLength: 32, maxBatchTokens: 8, maxSequences: 2 },
      vocabSize: VOCAB_SIZE,
      clock: new ManualClock(),
    });
    await expect(collect(engine.generate([1], sampled(3)))).rejects.toThrow(/drew/);
    engine.checkIntegrity();
    expect(engine.stats()).toMatchObject({ numRunning: 0, numFreeBlocks: 4 });
  }
});

test("prompts that can never run are refused before anything is queued", () => {
  const { engine } = new Bench({ maxModelLength: 8 });
  const refused = (prompt: readonly number[]) => () => engine.generate(prompt, sampled(3));
  expect(refused([])).toThrow("The prompt is empty: send at least one token");
  expect(refused([1, VOCAB_SIZE])).toThrow(
    'Prompt token "50" at position "1" is outside the vocabulary: use integers from 0 to 49',
  );
  expect(refused([-1])).toThrow(RefusedError);
  expect(refused([0.5])).toThrow(RefusedError);
  expect(refused([1, 2, 3, 4, 5, 6, 7, 8])).toThrow("the model takes 8");
  expect(engine.stats()).toMatchObject({ numWaiting: 0, numPromptTokens: 0 });
});

test("maxModelLength is what both the model and the pool allow", () => {
  expect(new Bench({ maxModelLength: 100 }).engine.maxModelLength).toBe(100);
  expect(new Bench({ maxModelLength: 100, numBlocks: 3 }).engine.maxModelLength).toBe(48);
});

test("a prompt is copied: its caller may go on to change it", async () => {
  const bench = new Bench();
  const prompt = [1, 2, 3];
  const events = bench.engine.generate(prompt, sampled(5));
  prompt.length = 0;
  expect(await collect(events)).toEqual(bench.expected([1, 2, 3], sampled(5)));
});

test("a lost pipeline is a pause: streams go on with the next one, token for token", async () => {
  const limits = { numBlocks: 32, maxModelLength: 120, maxBatchTokens: 24, maxSequences: 4 };
  let current: Pipeline | null = null;
  let numBatches = 0;
  let isLost = false;
  const start = (numStages: number) => {
    isLost = false;
    const stages = hashChainStages(numStages, { numBlocks: limits.numBlocks });
    current = new Pipeline({ stages, numLayers: numStages });
  };
  const engine = new Engine({
    pipeline: {
      get numStages() {
        return isLost ? 0 : current?.numStages ?? 0;
      },
      forward: async (batch) => {
        if (++numBatches % 13 === 0) isLost = true;
        if (isLost) throw new PipelineLostError("A peer left");
        return await current!.forward(batch);
      },
    },
    scheduler: limits,
    vocabSize: VOCAB_SIZE,
    clock: new ManualClock(),
  });
  const prompts = [[1, 2, 3], Array.from({ length: 60 }, (_, i) => i % VOCAB_SIZE), [9]];
  const outputs = prompts.map((prompt) => collect(engine.generate(prompt, sampled(40))));
  let numRestarts = 0;
  const ended = Promise.all(outputs);
  let isOver = false;
  ended.then(() => isOver = true);
  for (let i = 0; i < 5_000 && !isOver; i++) {
    if (current === null || isLost) {
      start(2);
      numRestarts++;
      await engine.restart();
    }
    engine.checkIntegrity();
    await settle();
  }
  const maxModelLength = engine.maxModelLength;
  const expected = prompts.map((prompt) =>
    expectedOutput(prompt, { sampling: sampled(40), numStages: 2, maxModelLength })
  );
  expect(await ended).toEqual(expected);
  expect(numRestarts).toBeGreaterThan(5);
  expect(engine.stats()).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeBlocks: 32 });
});

test("pipelines that come and go in a hurry: only the last restart counts", async () => {
  const delays = new VirtualDelays();
  const limits = { numBlocks: 32, maxModelLength: 120, maxBatchTokens: 24, maxSequences: 4 };
  const start = () => {
    const stages = hashChainStages(2, { numBlocks: limits.numBlocks, delays });
    return new Pipeline({ stages, numLayers: 2 });
  };
  let lose = () => {};
  let current = start();
  const engine = new Engine({
    pipeline: {
      numStages: 2,
      forward: (batch) => {
        const lost = new Promise<never>((_, reject) => {
          lose = () => reject(new PipelineLostError("A peer left"));
        });
        return Promise.race([current.forward(batch), lost]);
      },
    },
    scheduler: limits,
    vocabSize: VOCAB_SIZE,
    clock: new ManualClock(),
  });
  const prompts = [[1, 2], [3], [4, 5, 6]];
  const ended = Promise.all(
    prompts.map((prompt) => collect(engine.generate(prompt, sampled(12)))),
  );
  let isOver = false;
  ended.then(() => isOver = true);
  for (let i = 0; !isOver; i++) {
    await settle();
    for (let k = 0; k < 5 && delays.numPending > 0; k++) delays.end(i * 7 + k);
    if (i % 40 !== 39) continue;
    for (let k = 0; k < 3; k++) {
      lose();
      current = start();
      void engine.restart();
      if (k === 1) await settle();
    }
    engine.checkIntegrity();
  }
  const { maxModelLength } = engine;
  expect(await ended).toEqual(
    prompts.map((prompt) =>
      expectedOutput(prompt, { sampling: sampled(12), numStages: 2, maxModelLength })
    ),
  );
  expect(engine.stats()).toMatchObject({ numRunning: 0, numFreeBlocks: 32 });
  expect(engine.stats().numPreemptions).toBeGreaterThan(0);
});

test("without a pipeline sequences wait, until they are ended with a reason", async () => {
  const engine = new Engine({
    pipeline: { numStages: 0, forward: () => Promise.reject(new Error("There is none")) },
    scheduler: { numBlocks: 4, maxModelLength: 32, maxBatchTokens: 8, maxSequences: 2 },
    vocabSize: VOCAB_SIZE,
    clock: new ManualClock(),
  });
  const waiting = collect(engine.generate([1], sampled(3)));
  await settle();
  expect(engine.stats()).toMatchObject({ numWaiting: 1 });
  engine.failAll(new Error("No peer came"));
  await expect(waiting).rejects.toThrow("No peer came");
  expect(engine.stats()).toMatchObject({ numWaiting: 0 });
  engine.checkIntegrity();
});

test("close() aborts what runs and waits, and takes no more", async () => {
  const delays = new VirtualDelays();
  const bench = new Bench({ numStages: 2, delays, maxSequences: 1 });
  const outputs = [1, 2, 3].map((id) => collect(bench.engine.generate([id], sampled(9))));
  const unread = bench.engine.generate([1], sampled(9));
  await settle();
  const closed = bench.engine.close();
  bench.expectIdle();
  for (const output of await Promise.all(outputs)) expect(output.finishReason).toBe("abort");
  for (let i = 0; i < 8; i++) {
    await settle();
    if (delays.numPending > 0) delays.end(0);
  }
  await closed;
  expect(() => bench.engine.generate([1], sampled(1))).toThrow("The engine is closed");
  await expect(unread.next()).rejects.toThrow("The engine is closed");
  expect(bench.stages[0]!.stepIds).toHaveLength(1);
});

test("the next turn of a chat says how much of it was cached", async () => {
  const bench = new Bench();
  const prompt = Array.from({ length: 40 }, (_, i) => i % VOCAB_SIZE);
  const first = await collect(bench.engine.generate(prompt, sampled(20)));
  const turn = [...prompt, ...first.tokenIds, 1, 2];
  const numCached: number[] = [];
  const tokenIds: number[] = [];
  for await (const event of bench.engine.generate(turn, sampled(20))) {
    numCached.push(event.numCachedTokens);
    tokenIds.push(...event.tokenIds);
  }
  expect(new Set(numCached)).toEqual(new Set([48]));
  expect(tokenIds).toEqual(bench.expected(turn, sampled(20)).tokenIds);
  expect(bench.engine.stats()).toMatchObject({ numCachedPromptTokens: 48 });
  bench.expectIdle();
});

test("a stage alone gets its next step while it runs the last, and what came too much is dropped", async () => {
  const delays = new VirtualDelays();
  const bench = new Bench({ delays });
  const stopping = sampled(30, { stopTokenIds: [bench.expected([1], sampled(6)).tokenIds[5]!] });
  const output = collect(bench.engine.generate([1], stopping));
  let mostPending = 0;
  let isOver = false;
  output.finally(() => isOver = true);
  while (!isOver) {
    await settle();
    mostPending = Math.max(mostPending, delays.numPending);
    if (delays.numPending > 0) delays.end(0);
  }
  expect(mostPending).toBe(2);
  expect(await output).toEqual(bench.expected([1], stopping));
  while (delays.numPending > 0) {
    delays.end(0);
    await settle();
  }
  bench.expectIdle();
});

test("a sequence that takes too long keeps its tokens and fails, wherever it is", async () => {
  const delays = new VirtualDelays();
  const bench = new Bench({ delays, maxSequences: 1 });
  const running = bench.engine.generate([1], sampled(90), { timeoutMs: 5_000 });
  const waiting = bench.engine.generate([2], sampled(90), { timeoutMs: 3_000 });
  const first = running.next();
  const never = waiting.next();
  for (let i = 0; i < 6; i++) {
    await settle();
    delays.end(0);
  }
  expect((await first).value).toMatchObject({ finishReason: null });
  bench.clock.advance(3_000);
  await expect(never).rejects.toThrow(TimeoutError);
  await expect(never).rejects.toThrow("The generation took longer than 3 s");
  expect(bench.engine.stats()).toMatchObject({ numRunning: 1, numWaiting: 0 });
  bench.clock.advance(2_000);
  await expect(collect(running)).rejects.toThrow(TimeoutError);
  bench.expectIdle();
});

test("a pipeline with a smaller cache ends what does not fit and goes on with the rest", async () => {
  const delays = new VirtualDelays();
  const start = (numBlocks: number, delays?: VirtualDelays) =>
    new Pipeline({
      stages: hashChainStages(1, { numBlocks, ...(delays && { delays }) }),
      numLayers: 1,
    });
  let pipeline = start(8, delays);
  const losing = Promise.withResolvers<never>();
  const engine = new Engine({
    pipeline: {
      numStages: 1,
      forward: (batch) => Promise.race([pipeline.forward(batch), losing.promise]),
    },
    scheduler: { numBlocks: 8, maxModelLength: 120, maxBatchTokens: 32, maxSequences: 4 },
    vocabSize: VOCAB_SIZE,
    clock: new ManualClock(),
  });
  const long = collect(engine.generate(Array.from({ length: 60 }, () => 3), sampled(50)));
  const short = collect(engine.generate([1, 2], sampled(10)));
  await settle();
  losing.reject(new PipelineLostError("A peer left"));
  await settle();
  expect(engine.stats()).toMatchObject({ numWaiting: 2, numFreeBlocks: 8 });
  pipeline = start(3);
  losing.promise = new Promise(() => {});
  await engine.restart({ numBlocks: 3 });
  await expect(long).rejects.toThrow(CacheTooSmallError);
  expect(await short).toEqual(
    expectedOutput([1, 2], { sampling: sampled(10), numStages: 1, maxModelLength: 48 }),
  );
  expect(engine.maxModelLength).toBe(48);
  engine.checkIntegrity();
});
