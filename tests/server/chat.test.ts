import { expect, test } from "vitest";
import { until } from "./clocks.ts";
import { endless, events, fakeServer, FakeTokenizer, pieces, post } from "./fakes.ts";

const PATH = "/v1/chat/completions";
const messages = [{ role: "user", content: "Hi" }];

test("chat answers with the joined text, usage and timings", async () => {
  const { server, promptOf, engine } = fakeServer(pieces(["Hel", "lo"]));
  const response = await post(server, PATH, { model: "acme/tiny", messages });
  expect(response.status).toBe(200);
  const body = await response.json();
  expect(body).toMatchObject({
    id: expect.stringMatching(/^chatcmpl-[0-9a-f]{24}$/),
    object: "chat.completion",
    created: 1_700_000_000,
    model: "acme/tiny",
    system_fingerprint: "tessera-1.2.3",
    choices: [{
      index: 0,
      message: { role: "assistant", content: "Hello" },
      finish_reason: "stop",
    }],
    usage: { prompt_tokens: 18, completion_tokens: 2, total_tokens: 20 },
    timings: { prompt_n: 18, predicted_n: 2 },
  });
  for (const value of Object.values(body.timings)) expect(Number.isFinite(value)).toBe(true);
  expect(response.headers.get("x-request-id")).toBe(body.id);
  expect(promptOf()).toBe("user:Hi|assistant:");
  expect(engine.numOpen).toBe(0);
});

test("a chat stream has role, deltas, reason, usage and [DONE]", async () => {
  const { server } = fakeServer(pieces(["Hel", "lo"], "length"));
  const response = await post(server, PATH, {
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
  const parts = await events(response);
  const same = {
    id: response.headers.get("x-request-id"),
    object: "chat.completion.chunk",
    created: 1_700_000_000,
    model: "acme/tiny",
    system_fingerprint: "tessera-1.2.3",
  };
  const choice = (delta: unknown, finish_reason: string | null = null) => ({
    ...same,
    choices: [{ index: 0, delta, logprobs: null, finish_reason }],
    usage: null,
  });
  const timings = expect.objectContaining({ prompt_n: 18, predicted_n: 2 });
  expect(parts).toEqual([
    choice({ role: "assistant", content: "" }),
    choice({ content: "Hel" }),
    choice({ content: "lo" }),
    { ...choice({}, "length"), timings },
    {
      ...same,
      choices: [],
      usage: {
        prompt_tokens: 18,
        completion_tokens: 2,
        total_tokens: 20,
        prompt_tokens_details: { cached_tokens: 0 },
      },
      timings,
    },
    "[DONE]",
  ]);
});

test("a chat stream has no usage unless asked", async () => {
  const { server } = fakeServer(pieces(["Hello"]));
  const parts = await events(await post(server, PATH, { messages, stream: true }));
  expect(parts.some((part) => typeof part === "object" && "usage" in part!)).toBe(false);
});

test("text parts become lines, developer becomes system and nulls count as absent", async () => {
  const { server, promptOf } = fakeServer(pieces(["ok"]));
  const response = await post(server, PATH, {
    messages: [
      { role: "developer", content: "Be brief" },
      { role: "user", content: [{ type: "text", text: "a" }, { type: "text", text: "b" }] },
      { role: "assistant", content: null, tool_calls: [{ function: { arguments: '{"x":1}' } }] },
      { role: "tool", content: "4", tool_call_id: "1" },
    ],
    temperature: null,
    stop: null,
    tools: [],
    unheard_of: { field: 1 },
  });
  expect(response.status).toBe(200);
  expect(promptOf()).toBe("system:Be brief|user:a\nb|assistant:|tool:4|assistant:");
});

test("template variables and tools reach the chat template", async () => {
  const { server, promptOf } = fakeServer(pieces(["ok"]));
  await post(server, PATH, {
    messages,
    tools: [{ type: "function", function: { name: "f" } }],
    chat_template_kwargs: { enable_thinking: false },
  });
  expect(promptOf()).toBe('tools=1|{"enable_thinking":false}user:Hi|assistant:');
});

test("a stop string that spans tokens ends the text before it and frees the sequence", async () => {
  const script = pieces(["one E", "N", "D two", "never"]);
  for (const stream of [false, true]) {
    const { server, engine } = fakeServer(script);
    const response = await post(server, PATH, { messages, stop: ["END"], stream });
    if (stream) {
      const parts = await events(response) as { choices: { delta: { content?: string } }[] }[];
      const text = parts.map((part) => part.choices?.[0]?.delta.content ?? "").join("");
      expect(text).toBe("one ");
      expect(parts.at(-2)).toMatchObject({ choices: [{ finish_reason: "stop" }] });
    } else {
      expect(await response.json()).toMatchObject({
        choices: [{ message: { content: "one " }, finish_reason: "stop" }],
        usage: { completion_tokens: 3 },
      });
    }
    await until(() => engine.numOpen === 0);
    expect(engine.calls[0]?.numEvents).toBe(3);
  }
});

test("text held back for a stop string that never comes is given out at the end", async () => {
  const { server } = fakeServer(pieces(["one E", "N"]));
  const response = await post(server, PATH, { messages, stop: "END" });
  expect(await response.json()).toMatchObject({ choices: [{ message: { content: "one EN" } }] });
});

test("vLLM's switches for stop strings and special tokens are followed", async () => {
  const { server, engine } = fakeServer(pieces(["one E", "ND two"]));
  const text = async (fields: object) => {
    const body = await (await post(server, PATH, { messages, ...fields })).json();
    return body.choices[0].message.content;
  };
  expect(await text({ stop: "END", include_stop_str_in_output: true })).toBe("one END");
  engine.script = async function* () {
    yield { tokenIds: [1, 97], finishReason: "length" };
  };
  expect(await text({})).toBe("a");
  expect(await text({ skip_special_tokens: false })).toBe("<1>a");
});

test("a leading space is text of a completion and SentencePiece's own in a chat", async () => {
  const tokenizer = new (class extends FakeTokenizer {
    override readonly stripsLeadingSpace = true;
  })();
  const { server } = fakeServer(async function* () {
    yield { tokenIds: [32, 97], finishReason: "length" };
  }, { tokenizer });
  const completion = await (await post(server, "/v1/completions", { prompt: "x" })).json();
  expect(completion.choices[0].text).toBe(" a");
  const chat = await (await post(server, PATH, { messages })).json();
  expect(chat.choices[0].message.content).toBe("a");
});

test("n choices come from n seeds and share the prompt's count", async () => {
  const { server, engine } = fakeServer(async function* (call, { tokenizer }) {
    yield { tokenIds: [tokenizer.id(`seed ${call.sampling.seed}`)], finishReason: "length" };
  });
  const body = await (await post(server, PATH, { messages, n: 3, seed: 7 })).json();
  const texts = body.choices.map((choice: { message: { content: string } }) =>
    choice.message.content
  );
  expect(texts).toEqual(["seed 7", "seed 8", "seed 9"]);
  expect(body.usage).toMatchObject({ prompt_tokens: 18, completion_tokens: 3, total_tokens: 21 });

  const parts = await events(await post(server, PATH, { messages, n: 2, stream: true }));
  const ends = (parts as { choices?: { index: number; finish_reason: unknown }[] }[])
    .flatMap(({ choices }) => choices ?? []).filter(({ finish_reason }) => finish_reason !== null);
  expect(ends.map(({ index }) => index).sort()).toEqual([0, 1]);
  expect(engine.calls).toHaveLength(5);
});

test("one choice that fails ends the others", async () => {
  const { server, engine } = fakeServer((call, tools) => {
    if (call.sampling.seed === 1) throw new Error("The device was lost");
    return endless()(call, tools);
  });
  const response = await post(server, PATH, { messages, n: 3, seed: 0 });
  expect(response.status).toBe(500);
  await until(() => engine.numOpen === 0);
});

test("the answer fills the context unless the request asks for less", async () => {
  const { server, engine } = fakeServer(pieces(["ok"]));
  await post(server, PATH, { messages });
  await post(server, PATH, { messages, max_tokens: 5 });
  await post(server, PATH, { messages, max_tokens: 5, max_completion_tokens: 6 });
  await post(server, PATH, { messages, max_tokens: 100_000 });
  expect(engine.calls.map(({ sampling }) => sampling.maxTokens)).toEqual([982, 5, 6, 982]);
});

test("a base model without a template refuses chat", async () => {
  const { server } = fakeServer(pieces(["ok"]), { chatTemplate: null });
  const response = await post(server, PATH, { messages });
  expect(response.status).toBe(400);
  expect((await response.json()).error.code).toBe("no_chat_template");
});

test("a prompt that the engine refuses is a 400, streamed or not", async () => {
  const { server, engine } = fakeServer(pieces(["ok"]));
  engine.refuses = "user:Hi";
  for (const stream of [false, true]) {
    const response = await post(server, PATH, { messages, stream });
    expect(response.status).toBe(400);
    expect((await response.json()).error).toMatchObject({
      message: "The pool is too small",
      code: "invalid_value",
    });
  }
});
