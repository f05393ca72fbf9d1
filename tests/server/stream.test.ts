import { expect, test } from "vitest";
import { ManualClock, realClock, until } from "./clocks.ts";
import { endless, events, fakeServer, pieces, post, silent } from "./fakes.ts";

const CHAT = "/v1/chat/completions";
const messages = [{ role: "user", content: "Hi" }];

test("a reader that cancels the stream frees the sequence within a second", async () => {
  for (const script of [endless(), silent()]) {
    const { server, engine } = fakeServer(script);
    const response = await post(server, CHAT, { messages, stream: true, n: 2, request_id: "r1" });
    const reader = response.body!.getReader();
    for (let i = 0; i < 2; i++) await reader.read();
    await until(() => engine.numOpen === 2);
    await reader.cancel();
    await until(() => engine.numOpen === 0);
    expect((await post(server, "/v1/stop_request", { request_id: "r1" })).status).toBe(404);
  }
});

test("a caller that aborts before the answer is there frees the sequence", async () => {
  for (const script of [endless(), silent()]) {
    const { server, engine } = fakeServer(script);
    const hangUp = new AbortController();
    const answer = post(server, CHAT, { messages }, { signal: hangUp.signal });
    await until(() => engine.numOpen === 1);
    hangUp.abort();
    await until(() => engine.numOpen === 0);
    expect((await answer).status).toBe(499);
  }
});

test("a signal that aborts after the stream began does not end it", async () => {
  const { server } = fakeServer(pieces(["a", "b"]));
  const late = new AbortController();
  const init = { signal: late.signal };
  const response = await post(server, CHAT, { messages, stream: true }, init);
  late.abort();
  expect((await events(response)).at(-1)).toBe("[DONE]");
});

test("a failure in mid-stream is an error event", async () => {
  const { server, engine } = fakeServer(async function* (_call, { tokenizer }) {
    yield { tokenIds: [tokenizer.id("Hel")], finishReason: null };
    await Promise.resolve();
    throw new Error("The device was lost");
  });
  const parts = await events(await post(server, CHAT, { messages, stream: true }));
  expect(parts.at(-2)).toEqual({
    error: {
      message: "The generation failed: The device was lost",
      type: "server_error",
      param: null,
      code: "internal_error",
    },
  });
  expect(parts.at(-1)).toBe("[DONE]");
  await until(() => engine.numOpen === 0);
  const whole = await post(server, CHAT, { messages });
  expect(whole.status).toBe(500);
  expect((await whole.json()).error.message).toContain("The device was lost");
});

test("an engine that aborts on its own is an error, not a short answer", async () => {
  const { server } = fakeServer(async function* () {
    yield { tokenIds: [], finishReason: "abort" };
  });
  const response = await post(server, CHAT, { messages });
  expect([response.status, (await response.json()).error.code]).toEqual([503, "aborted"]);
});

test("a silent stream sends comments every ten seconds until it speaks", async () => {
  const clock = new ManualClock();
  let speak = () => {};
  const { server } = fakeServer(async function* (_call, { tokenizer }) {
    await new Promise<void>((resolve) => speak = resolve);
    yield { tokenIds: [tokenizer.id("Hi")], finishReason: "length" };
  }, { clock });
  const response = await post(server, CHAT, { messages, stream: true });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader.read()).value).toContain("assistant");
  for (let i = 0; i < 3; i++) {
    await until(() => clock.numSleepers === 1);
    clock.advance(9_999);
    await realClock.sleep(5);
    clock.advance(1);
    expect((await reader.read()).value).toBe(": keep-alive\n\n");
  }
  speak();
  expect((await reader.read()).value).toContain('"content":"Hi"');
  await reader.cancel();
  expect(clock.numSleepers).toBe(0);
});

test("a slow reader makes the server ask for no more than it reads", async () => {
  const { server, engine } = fakeServer(endless("la ", 0));
  const response = await post(server, CHAT, { messages, stream: true });
  const reader = response.body!.getReader();
  for (let i = 0; i < 5; i++) await reader.read();
  await realClock.sleep(100);
  expect(engine.calls[0]?.numEvents).toBeLessThan(10);
  await reader.cancel();
  await until(() => engine.numOpen === 0);
});
