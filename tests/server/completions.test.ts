import { expect, test } from "vitest";
import { events, fakeServer, pieces, post } from "./fakes.ts";

const PATH = "/v1/completions";

test("a completion continues a text", async () => {
  const { server, engine } = fakeServer(pieces([" world"]));
  const body = await (await post(server, PATH, { model: "tiny", prompt: "Hello" })).json();
  expect(body).toMatchObject({
    id: expect.stringMatching(/^cmpl-/),
    object: "text_completion",
    choices: [{ index: 0, text: " world", logprobs: null, finish_reason: "stop" }],
    usage: { prompt_tokens: 6, completion_tokens: 1, total_tokens: 7 },
  });
  expect(engine.calls[0]?.prompt[0]).toBe(1);
  expect(engine.calls[0]?.sampling.maxTokens).toBe(16);
});

test("prompts may be strings, token ids, or arrays of either", async () => {
  const { server, engine } = fakeServer(pieces(["!"]));
  const texts = async (prompt: unknown) => {
    const body = await (await post(server, PATH, { prompt, echo: true })).json();
    return body.choices.map(({ text }: { text: string }) => text);
  };
  expect(await texts("ab")).toEqual(["ab!"]);
  expect(await texts(["ab", "c"])).toEqual(["ab!", "c!"]);
  expect(await texts([97, 98])).toEqual(["ab!"]);
  expect(await texts([[97], [98, 99]])).toEqual(["a!", "bc!"]);
  expect(engine.calls[3]?.prompt).toEqual([97, 98]);
});

test("n of several prompts are numbered prompt by prompt", async () => {
  const { server } = fakeServer(async function* (call, { tokenizer }) {
    const text = `${tokenizer.text(call.prompt.at(-1) ?? 0)}${call.sampling.seed}`;
    yield { tokenIds: [tokenizer.id(text)], finishReason: "length" };
  });
  const response = await post(server, PATH, { prompt: ["a", "b"], n: 2, seed: 0 });
  const body = await response.json();
  expect(body.choices.map(({ text }: { text: string }) => text)).toEqual(["a0", "a1", "b0", "b1"]);
  expect(body.usage.prompt_tokens).toBe(4);
});

test("echo with no tokens to generate gives the prompt back without the engine", async () => {
  const { server, engine } = fakeServer(pieces(["!"]));
  const response = await post(server, PATH, { prompt: "ab", echo: true, max_tokens: 0 });
  expect(await response.json()).toMatchObject({
    choices: [{ text: "ab", finish_reason: "length" }],
    usage: { completion_tokens: 0 },
  });
  expect(engine.calls).toHaveLength(0);
});

test("a completion streams, the echo first", async () => {
  const { server } = fakeServer(pieces(["c", "d"]));
  const parts = await events(await post(server, PATH, { prompt: "ab", echo: true, stream: true }));
  const choices = (parts.slice(0, -1) as { choices: { text: string; finish_reason: unknown }[] }[])
    .map(({ choices: [choice] }) => [choice?.text, choice?.finish_reason]);
  expect(choices).toEqual([["ab", null], ["c", null], ["d", null], ["", "stop"]]);
  expect(parts.at(-1)).toBe("[DONE]");
});
