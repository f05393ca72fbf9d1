/** The real `openai` package against a server on loopback. */
import OpenAI from "openai";
import { afterEach, expect, test } from "vitest";
import { realClock, until } from "./clocks.ts";
import { endless, fakeServer, pieces, type Script, silent } from "./fakes.ts";

const running: Deno.HttpServer[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((http) => http.shutdown()));
});

function serve(script: Script, options: Parameters<typeof fakeServer>[1] = {}) {
  const fake = fakeServer(script, options);
  const listen = { port: 0, hostname: "127.0.0.1", onListen: () => {} };
  const http = Deno.serve(listen, (request) => fake.server.fetch(request));
  running.push(http);
  const url = `http://127.0.0.1:${http.addr.port}`;
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any", maxRetries: 0 });
  return { ...fake, client, url };
}

const model = "acme/tiny";
const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: "Hi" }];

test("chat answers whole", async () => {
  const { client } = serve(pieces(["Hel", "lo 🌍"]));
  const answer = await client.chat.completions.create({ model, messages });
  expect(answer.choices[0]?.message.content).toBe("Hello 🌍");
  expect(answer.usage?.total_tokens).toBe(20);
  expect(answer._request_id).toBe(answer.id);
});

test("chat streams with usage", async () => {
  const { client } = serve(pieces(["Hel", "lo"]));
  const stream = await client.chat.completions.create({
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage: OpenAI.CompletionUsage | null | undefined;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage;
  }
  expect(text).toBe("Hello");
  expect(usage).toMatchObject({ prompt_tokens: 18, completion_tokens: 2, total_tokens: 20 });
});

test("the client's own stream helper puts the answer together", async () => {
  const { client } = serve(pieces(["Hel", "lo"]));
  const answer = await client.chat.completions.stream({ model, messages, n: 2 })
    .finalChatCompletion();
  expect(answer.choices.map(({ message }) => message.content)).toEqual(["Hello", "Hello"]);
});

test("text completions answer whole and streamed", async () => {
  const { client } = serve(pieces(["a", "b"]));
  const answer = await client.completions.create({ model, prompt: ["x", "y"] });
  expect(answer.choices.map(({ text }) => text)).toEqual(["ab", "ab"]);
  let text = "";
  for await (const chunk of await client.completions.create({ model, prompt: "x", stream: true })) {
    text += chunk.choices[0]?.text ?? "";
  }
  expect(text).toBe("ab");
});

test("models are listed and retrieved", async () => {
  const { client } = serve(pieces([]));
  const ids = [];
  for await (const { id } of client.models.list()) ids.push(id);
  expect(ids).toEqual([model]);
  expect((await client.models.retrieve(model)).id).toBe(model);
});

test("errors come out as the client's error classes", async () => {
  const { client, engine } = serve(pieces([]), { maxWaiting: 1, maxBodyBytes: 10_000 });
  const bad = client.chat.completions.create({ model, messages, temperature: -1 });
  await expect(bad).rejects.toThrow(OpenAI.BadRequestError);
  await expect(bad).rejects.toMatchObject({ status: 400, param: "temperature" });
  const other = client.chat.completions.create({ model: "gpt-4o", messages });
  await expect(other).rejects.toThrow(OpenAI.NotFoundError);
  await expect(other).rejects.toMatchObject({ code: "model_not_found" });
  const long = client.completions.create({ model, prompt: "x".repeat(2000) });
  await expect(long).rejects.toMatchObject({ code: "context_length_exceeded" });
  const large = client.completions.create({ model, prompt: "x".repeat(20_000) });
  await expect(large).rejects.toMatchObject({ status: 413, code: "body_too_large" });
  engine.numWaiting = 1;
  const full = client.chat.completions.create({ model, messages });
  await expect(full).rejects.toThrow(OpenAI.RateLimitError);
});

test("a server that is not ready is an InternalServerError", async () => {
  const { client } = serve(pieces([]), { isReady: () => false });
  const early = client.chat.completions.create({ model, messages });
  await expect(early).rejects.toThrow(OpenAI.InternalServerError);
});

test("the client retries a full queue after retry-after", async () => {
  const { client, engine } = serve(pieces(["ok"]), { maxWaiting: 1 });
  engine.numWaiting = 1;
  setTimeout(() => engine.numWaiting = 0, 200);
  const patient = client.withOptions({ maxRetries: 1 });
  const answer = await patient.chat.completions.create({ model, messages });
  expect(answer.choices[0]?.message.content).toBe("ok");
});

test("a failure in mid-stream throws in the client's loop", async () => {
  const { client } = serve(async function* (_call, { tokenizer }) {
    yield { tokenIds: [tokenizer.id("Hel")], finishReason: null };
    throw new Error("The device was lost");
  });
  const stream = await client.chat.completions.create({ model, messages, stream: true });
  let text = "";
  const read = async () => {
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  };
  await expect(read()).rejects.toThrow("The device was lost");
  expect(text).toBe("Hel");
});

test.each([["speaking", endless()], ["silent", silent()]])(
  "a client that leaves a %s stream frees the sequence within a second",
  async (_name, script) => {
    const { client, engine } = serve(script);
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    const read = (async () => {
      for await (const _chunk of stream);
    })();
    await until(() => engine.numOpen === 1);
    stream.controller.abort();
    await until(() => engine.numOpen === 0);
    await read.catch(() => {});
  },
);

test.each([["speaking", endless()], ["silent", silent()]])(
  "a client that gives up on a whole answer frees a %s sequence within a second",
  async (_name, script) => {
    const { client, engine } = serve(script);
    const hangUp = new AbortController();
    const answer = client.chat.completions.create({ model, messages }, { signal: hangUp.signal });
    const failed = expect(answer).rejects.toThrow(OpenAI.APIUserAbortError);
    await until(() => engine.numOpen === 1);
    hangUp.abort();
    await failed;
    await until(() => engine.numOpen === 0);
  },
);

test("answers that went well cancel nothing", async () => {
  const { client, url, engine } = serve(pieces(["ok"]));
  for (let i = 0; i < 3; i++) {
    await client.chat.completions.create({ model, messages });
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    for await (const _chunk of stream);
  }
  expect((await fetch(`${url}/health`)).status).toBe(200);
  expect(engine.calls).toHaveLength(6);
  expect(engine.numOpen).toBe(0);
});

test("a reader that stalls on a socket holds the server back", async () => {
  const { url, engine } = serve(endless("la ".repeat(2000), 0));
  const body = JSON.stringify({ messages, stream: true });
  const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", body });
  const reader = response.body!.getReader();
  await reader.read();
  // The socket's buffers take some megabytes; then nothing moves.
  const numEvents = () => engine.calls[0]?.numEvents ?? 0;
  let stalledAt = -1;
  while (stalledAt !== numEvents()) {
    stalledAt = numEvents();
    expect(stalledAt).toBeLessThan(20_000);
    await realClock.sleep(300);
  }
  await reader.cancel();
  await until(() => engine.numOpen === 0);
});
