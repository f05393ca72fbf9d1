import { expect, test } from "vitest";
import { fakeServer, pieces, post } from "./fakes.ts";

const CHAT = "/v1/chat/completions";
const TEXT = "/v1/completions";
const user = { role: "user", content: "Hi" };

const REFUSED: [param: string, fields: Record<string, unknown>][] = [
  ["messages", { messages: undefined }],
  ["messages", { messages: [] }],
  ["messages", { messages: "Hi" }],
  ["messages", { messages: [{ role: "user", content: "raise" }] }],
  ["messages[0]", { messages: [null] }],
  ["messages[1].role", { messages: [user, { role: "wizard", content: "" }] }],
  ["messages[0].role", { messages: [{ role: "constructor", content: "" }] }],
  ["messages[0].content", { messages: [{ role: "user" }] }],
  ["messages[0].content", { messages: [{ role: "user", content: 3 }] }],
  ["messages[0].content[0].type", {
    messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "" } }] }],
  }],
  ["messages[0].content[0].text", { messages: [{ role: "user", content: [{ type: "text" }] }] }],
  ["temperature", { temperature: -1 }],
  ["temperature", { temperature: "hot" }],
  ["top_p", { top_p: 1.1 }],
  ["top_k", { top_k: 1.5 }],
  ["min_p", { min_p: -0.1 }],
  ["seed", { seed: 0.5 }],
  ["presence_penalty", { presence_penalty: 3 }],
  ["frequency_penalty", { frequency_penalty: -3 }],
  ["repetition_penalty", { repetition_penalty: 0 }],
  ["repeat_penalty", { repeat_penalty: "x" }],
  ["max_tokens", { max_tokens: 0 }],
  ["max_completion_tokens", { max_completion_tokens: -1 }],
  ["n", { n: 0 }],
  ["n", { n: 129 }],
  ["stop", { stop: 3 }],
  ["stop", { stop: [1] }],
  ["stop", { stop: Array.from({ length: 65 }, () => "x") }],
  ["stop_token_ids[0]", { stop_token_ids: [-1] }],
  ["stream", { stream: "yes" }],
  ["stream_options.include_usage", { stream_options: { include_usage: 1 } }],
  ["request_id", { request_id: "two words" }],
  ["tools[0]", { tools: [1] }],
  ["chat_template_kwargs", { chat_template_kwargs: [] }],
  ["model", { model: 3 }],
  ["priority", { priority: "urgent" }],
  ["priority", { priority: 0.5 }],
  ["service_tier", { service_tier: "free" }],
  ["cache_salt", { cache_salt: "" }],
  ["cache_salt", { cache_salt: "x".repeat(257) }],
  ["cache_salt", { cache_salt: 3 }],
  ["timeout", { timeout: 0 }],
  ["timeout", { timeout: "10" }],
  ["timeout", { timeout: 601 }],
  ["timeout", { timeout: 1e12 }],
];

const UNSUPPORTED: [param: string, fields: Record<string, unknown>][] = [
  ["response_format", { response_format: { type: "json_object" } }],
  ["response_format", { response_format: { type: "json_schema", json_schema: {} } }],
  ["tool_choice", { tool_choice: "required" }],
  ["tool_choice", { tool_choice: { type: "function", function: { name: "f" } } }],
  ["logprobs", { logprobs: true }],
  ["top_logprobs", { top_logprobs: 2 }],
  ["logit_bias", { logit_bias: { "1": -100 } }],
  ["functions", { functions: [{ name: "f" }] }],
  ["modalities", { modalities: ["text", "audio"] }],
  ["guided_json", { guided_json: {} }],
];

const ACCEPTED: Record<string, unknown>[] = [
  { response_format: { type: "text" } },
  { tools: [], tool_choice: "auto" },
  { logprobs: false, top_logprobs: 0 },
  { n: 1, stop: "", logit_bias: {} },
  { stop: Array.from({ length: 5 }, (_, index) => `stop ${index}`) },
  { modalities: ["text"], metadata: { a: "b" }, user: "me", store: true },
  { priority: null, service_tier: "auto", cache_salt: "x".repeat(256), timeout: 600 },
  { max_tokens: 5.0, seed: -1, temperature: 0, top_p: 0, top_k: -1 },
];

test.each(REFUSED)("a bad '%s' is a 400 that names it: %j", async (param, fields) => {
  const { server, engine } = fakeServer(pieces(["ok"]));
  const response = await post(server, CHAT, { messages: [user], ...fields });
  const { error } = await response.json();
  expect([response.status, error.param, error.type]).toEqual([400, param, "invalid_request_error"]);
  expect(error.message).not.toMatch(/\.$|undefined/);
  expect(engine.calls).toHaveLength(0);
});

test.each(UNSUPPORTED)("'%s' is refused rather than ignored: %j", async (param, fields) => {
  const { server } = fakeServer(pieces(["ok"]));
  const response = await post(server, CHAT, { messages: [user], ...fields });
  const { error } = await response.json();
  expect([response.status, error.param, error.code]).toEqual([400, param, "unsupported_parameter"]);
});

test.each(ACCEPTED)("harmless values pass: %j", async (fields) => {
  const { server } = fakeServer(pieces(["ok"]));
  const response = await post(server, CHAT, { messages: [user], ...fields });
  expect(response.status).toBe(200);
});

test.each([
  ["prompt", {}],
  ["prompt", { prompt: [] }],
  ["prompt", { prompt: 3 }],
  ["prompt", { prompt: Array.from({ length: 129 }, () => "x") }],
  ["prompt[1]", { prompt: ["a", 3] }],
  ["prompt[1]", { prompt: ["a", []] }],
  ["prompt[1]", { prompt: [97, -1] }],
  ["prompt[0][0]", { prompt: [[0x110000]] }],
  ["n", { prompt: Array.from({ length: 100 }, () => "x"), n: 2 }],
  ["suffix", { prompt: "a", suffix: "b" }],
  ["best_of", { prompt: "a", best_of: 2 }],
  ["logprobs", { prompt: "a", logprobs: 0 }],
  ["echo", { prompt: "a", echo: "yes" }],
])("a bad '%s' of a text completion is a 400 that names it", async (param, body) => {
  const { server } = fakeServer(pieces(["ok"]));
  const response = await post(server, TEXT, body);
  expect([response.status, (await response.json()).error.param]).toEqual([400, param]);
});

test("a prompt longer than the context is refused with both counts", async () => {
  const { server } = fakeServer(pieces(["ok"]));
  const response = await post(server, TEXT, { prompt: "x".repeat(999) });
  expect(response.status).toBe(400);
  const { error } = await response.json();
  expect(error).toMatchObject({ param: "prompt", code: "context_length_exceeded" });
  expect(error.message).toMatch(/1000 tokens.*1000 tokens/);
  expect((await post(server, TEXT, { prompt: "x".repeat(998) })).status).toBe(200);
});

test("a large list of mistakes costs little", async () => {
  const { server } = fakeServer(pieces(["ok"]));
  const many = Array.from({ length: 500_000 }, () => 1);
  const startMs = performance.now();
  for (const body of [{ messages: many }, { messages: [user], tools: many, stop: many }]) {
    expect((await post(server, CHAT, body)).status).toBe(400);
  }
  expect((await post(server, TEXT, { prompt: ["x", ...many] })).status).toBe(400);
  expect(performance.now() - startMs).toBeLessThan(2000);
});
