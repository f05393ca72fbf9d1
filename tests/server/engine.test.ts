/** The server in front of the real engine, over a pipeline that only counts. */
import { expect, test } from "vitest";
import type { Batch, TokenOutput } from "../../src/core.ts";
import { Engine } from "../../src/engine.ts";
import { createServer } from "../../src/server/server.ts";
import { realClock, until } from "./clocks.ts";
import { EOS, events, fakeTemplate, FakeTokenizer, post } from "./fakes.ts";

const VOCAB_SIZE = 0x110000;
const LETTER_A = 97;
const messages = [{ role: "user", content: "Hi" }];

/** Every sequence says the alphabet; a step takes a moment. */
async function forward(batch: Batch): Promise<TokenOutput[]> {
  await realClock.sleep(1);
  return batch.slices.flatMap(({ sequenceId, sample }) =>
    sample === undefined ? [] : [{ sequenceId, tokenId: LETTER_A + sample.tokenIndex % 26 }]
  );
}

function realServer() {
  const engine = new Engine({
    pipeline: { forward, numStages: 1 },
    scheduler: { numBlocks: 64, maxModelLength: 4096, maxBatchTokens: 64, maxSequences: 4 },
    vocabSize: VOCAB_SIZE,
    clock: realClock,
  });
  const server = createServer({
    engine,
    tokenizer: new FakeTokenizer(),
    chatTemplate: fakeTemplate,
    model: { id: "alphabet", vocabSize: VOCAB_SIZE, eosTokenIds: [EOS] },
    clock: realClock,
    rng: { uint32: () => 1 },
    version: "0",
  });
  const isIdle = () => {
    engine.checkIntegrity();
    const { numRunning, numWaiting, numFreeBlocks, numBlocks } = engine.stats();
    return numRunning + numWaiting === 0 && numFreeBlocks === numBlocks;
  };
  return { engine, server, isIdle };
}

test("an answer ends at its stop string and its blocks are free", async () => {
  const { server, isIdle } = realServer();
  const response = await post(server, "/v1/chat/completions", { messages, stop: "fg", n: 6 });
  const { choices } = await response.json();
  expect(choices).toHaveLength(6);
  for (const { message } of choices) expect(message.content).toBe("abcde");
  await until(isIdle);
});

test("a stop token ends the text and has none itself", async () => {
  const { server, isIdle } = realServer();
  const body = { prompt: "x", stop_token_ids: [LETTER_A + 3], max_tokens: 50 };
  expect(await (await post(server, "/v1/completions", body)).json()).toMatchObject({
    choices: [{ text: "abc", finish_reason: "stop" }],
    usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
  });
  await until(isIdle);
});

test("a hang-up frees running and waiting sequences within a second", async () => {
  const { server, engine, isIdle } = realServer();
  const response = await post(server, "/v1/chat/completions", { messages, n: 8, stream: true });
  const reader = response.body!.getReader();
  for (let i = 0; i < 20; i++) await reader.read();
  expect(engine.stats().numRunning + engine.stats().numWaiting).toBe(8);
  await reader.cancel();
  await until(isIdle);

  const hangUp = new AbortController();
  const answer = post(server, "/v1/chat/completions", { messages }, { signal: hangUp.signal });
  await until(() => engine.stats().numRunning === 1);
  hangUp.abort();
  await until(isIdle);
  expect((await answer).status).toBe(499);
});

test("stop_request leaves an answer with what it has", async () => {
  const { server, engine, isIdle } = realServer();
  const body = { messages, stream: true, request_id: "r1" };
  const streamed = events(await post(server, "/v1/chat/completions", body));
  await until(() => engine.stats().numRunning === 1);
  await realClock.sleep(50);
  await post(server, "/v1/stop_request", { request_id: "r1" });
  expect((await streamed).at(-2)).toMatchObject({ choices: [{ finish_reason: "stop" }] });
  await until(isIdle);
});

test("a prompt beyond the pool is a 400 with both counts", async () => {
  const { server } = realServer();
  const response = await post(server, "/v1/completions", { prompt: "x".repeat(2000) });
  expect([response.status, (await response.json()).error]).toMatchObject([400, {
    message: expect.stringMatching(/2001 tokens.*1024 tokens/),
    code: "context_length_exceeded",
  }]);
});
