import { expect, test } from "vitest";
import { serveHttp } from "../../signaling/http_server.ts";
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

test("a reader that takes nothing for a minute is given up, and others go on", async () => {
  const clock = new ManualClock();
  const { server, engine } = fakeServer(endless(), { clock });
  const stalled = (await post(server, CHAT, { messages, stream: true })).body!.getReader();
  const other = (await post(server, CHAT, { messages, stream: true })).body!.getReader();
  await stalled.read();
  await until(() => engine.calls[0]!.numEvents > 0);
  const goOn = async (ms: number) => {
    clock.advance(ms);
    for (let i = 0; i < 3; i++) expect((await other.read()).done).toBe(false);
  };
  for (let seconds = 0; seconds < 59; seconds++) await goOn(1000);
  expect(engine.numOpen).toBe(2);
  await goOn(1000);
  await until(() => engine.numOpen === 1);
  await expect(stalled.read()).rejects.toThrow("took nothing for too long");
  for (let seconds = 0; seconds < 60; seconds += 10) await goOn(10_000);
  expect(engine.numOpen).toBe(1);
  await other.cancel();
  await until(() => engine.numOpen === 0);
  expect(clock.numSleepers).toBe(0);
});

test("a reader that takes something every 50 s is kept", async () => {
  const clock = new ManualClock();
  const { server, engine } = fakeServer(endless(), { clock });
  const reader = (await post(server, CHAT, { messages, stream: true })).body!.getReader();
  for (let i = 0; i < 5; i++) {
    // What it takes makes room for the next event.
    await reader.read();
    await until(() => (engine.calls[0]?.numEvents ?? 0) > i);
    for (let step = 0; step < 5; step++) {
      clock.advance(10_000);
      await realClock.sleep(1);
    }
  }
  expect(engine.numOpen).toBe(1);
  await reader.cancel();
});

test("a stream that nobody reads is given up on its socket, whose client gets no more", async () => {
  const clock = new ManualClock();
  const { server, engine } = fakeServer(endless("la ".repeat(2000), 0), { clock });
  const signals: AbortSignal[] = [];
  const http = await serveHttp({
    ...{ hostname: "127.0.0.1", port: 0 },
    handle: (request) => {
      signals.push(request.signal);
      return server.fetch(request);
    },
  });
  const socket = await Deno.connect({ hostname: "127.0.0.1", port: http.port });
  try {
    const body = JSON.stringify({ messages, stream: true });
    const head = `POST ${CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n`;
    await socket.write(new TextEncoder().encode(head + body));
    // The socket's buffers take some megabytes; then nothing moves.
    const numEvents = () => engine.calls[0]?.numEvents ?? 0;
    let stalledAt = -1;
    while (stalledAt !== numEvents() || stalledAt === 0) {
      stalledAt = numEvents();
      await realClock.sleep(300);
    }
    const other = await fetch(`http://127.0.0.1:${http.port}${CHAT}`, { method: "POST", body });
    const reader = other.body!.getReader();
    for (let seconds = 0; seconds < 60; seconds += 10) {
      expect(engine.numOpen).toBe(2);
      expect(signals[0]!.aborted).toBe(false);
      clock.advance(10_000);
      // Several, since some are still on their way.
      for (let i = 0; i < 10; i++) expect((await reader.read()).done).toBe(false);
    }
    await until(() => engine.numOpen === 1 && signals[0]!.aborted);
    await reader.cancel();
    await until(() => engine.numOpen === 0);
  } finally {
    socket.close();
    await http.close();
  }
});

test("a stream has one timer, however many events it sends", async () => {
  const clock = new ManualClock();
  const { server } = fakeServer(endless(), { clock });
  const reader = (await post(server, CHAT, { messages, stream: true })).body!.getReader();
  for (let i = 0; i < 20; i++) {
    await reader.read();
    clock.advance(100);
    expect(clock.numSleepers).toBe(1);
  }
  await reader.cancel();
  expect(clock.numSleepers).toBe(0);
});

test("tokens that waited for a slow reader come in events of at most 64 Ki", async () => {
  const piece = "0123456789".repeat(10);
  const { server } = fakeServer(async function* (_call, { tokenizer }) {
    yield { tokenIds: Array(10_000).fill(tokenizer.id(piece)), finishReason: "length" };
  });
  const parts = await events(await post(server, CHAT, { messages, stream: true })) as {
    choices?: { delta: { content?: string } }[];
  }[];
  const texts = parts.flatMap(({ choices = [] }) =>
    choices.map(({ delta }) => delta.content ?? "")
  );
  expect(texts.join("")).toBe(piece.repeat(10_000));
  expect(Math.max(...texts.map((text) => text.length))).toBeLessThanOrEqual(65_536 + 100);
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
