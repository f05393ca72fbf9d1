/** The server in front of the real engine, over stages without arithmetic. */
import { Engine } from "../../src/engine.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import type { Clock } from "../../src/platform/platform.ts";
import type { SchedulerOptions } from "../../src/scheduler/options.ts";
import type { ServerOptions } from "../../src/server/options.ts";
import { createServer } from "../../src/server/server.ts";
import { hashChainStages, settle, VirtualDelays, VOCAB_SIZE } from "../pipeline/hash_chain.ts";
import { realClock } from "./clocks.ts";
import { FakeTokenizer, post } from "./fakes.ts";

interface ChainOptions extends Partial<ServerOptions> {
  readonly clock?: Clock;
  readonly scheduler?: Partial<SchedulerOptions>;
  /** Steps end only when `steps()` lets them. */
  readonly isHeld?: boolean;
}

/** Fields of a request, and what the connection and its headers say. */
interface Ask {
  readonly key?: string;
  readonly remoteAddress?: string;
  readonly origin?: string;
  readonly signal?: AbortSignal;
  readonly [field: string]: unknown;
}

export function chainServer(
  { clock = realClock, scheduler, isHeld = false, ...options }: ChainOptions = {},
) {
  const limits = {
    ...{ numBlocks: 64, maxModelLength: 400, maxBatchTokens: 64, maxSequences: 4 },
    ...scheduler,
  };
  const delays = new VirtualDelays();
  let numDrawn = 0;
  const stages = hashChainStages(1, {
    numBlocks: limits.numBlocks,
    ...(isHeld && { delays }),
    onBatch: () => engine.checkIntegrity(),
  });
  const engine = new Engine({
    pipeline: new Pipeline({ stages, numLayers: 1 }),
    scheduler: limits,
    vocabSize: VOCAB_SIZE,
    clock,
  });
  const server = createServer({
    engine,
    tokenizer: new FakeTokenizer(),
    chatTemplate: null,
    model: { id: "chain", vocabSize: VOCAB_SIZE, eosTokenIds: [] },
    ...{ clock, rng: { uint32: () => ++numDrawn }, version: "0" },
    ...options,
  });
  return {
    engine,
    server,
    /** Posts a text completion of 4 tokens, or of what `ask` says. */
    complete: ({ key, remoteAddress = "10.0.0.1", origin, signal, ...fields }: Ask) =>
      post(server, "/v1/completions", { max_tokens: 4, ...fields }, {
        headers: {
          ...(key !== undefined && { authorization: `Bearer ${key}` }),
          ...(origin !== undefined && { origin }),
        },
        remoteAddress,
        ...(signal && { signal }),
      }),
    /** Lets `count` steps of a held server end. */
    steps: async (count: number) => {
      // Before and after its effect, a batch waits for one delay each.
      for (let i = 0; i < 2 * count; i++) {
        await settle();
        if (delays.numPending > 0) delays.end(0);
      }
      await settle();
    },
    isIdle: () => {
      engine.checkIntegrity();
      const { numRunning, numWaiting, numFreeBlocks, numBlocks } = engine.stats();
      return numRunning + numWaiting === 0 && numFreeBlocks === numBlocks;
    },
  };
}

/** A prompt of so many tokens; another `kind` differs from the first token on. */
export function promptOf(numTokens: number, kind = 0): number[] {
  return Array.from({ length: numTokens }, (_, index) => 2 + (index * 7 + kind) % (VOCAB_SIZE - 2));
}
