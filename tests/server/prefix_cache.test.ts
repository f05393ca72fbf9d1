/** Who shares cached prefixes with whom, and how usage tells. */
import { expect, test } from "vitest";
import { chainServer, promptOf } from "./chain_server.ts";
import { until } from "./clocks.ts";
import { events } from "./fakes.ts";

const access = {
  ownOrigins: () => [],
  isLoopback: false,
  apiKeys: ["sk-ann", "sk-bob"],
};
/** Two whole blocks are found again; the last token is computed in any case. */
const prompt = promptOf(40);
const CACHED = 32;

test("two keys share no cached tokens, one key shares with itself", async () => {
  const { complete, isIdle } = chainServer({ access });
  expect(await cached(complete({ key: "sk-ann", prompt }))).toBe(0);
  expect(await cached(complete({ key: "sk-bob", prompt }))).toBe(0);
  expect(await cached(complete({ key: "sk-ann", prompt }))).toBe(CACHED);
  expect(await cached(complete({ key: "sk-bob", prompt }))).toBe(CACHED);
  await until(isIdle);
});

test("keys share where the server was told so, but for requests with a salt", async () => {
  const { complete } = chainServer({ access, sharePrefixCache: true });
  expect(await cached(complete({ key: "sk-ann", prompt }))).toBe(0);
  expect(await cached(complete({ key: "sk-bob", prompt }))).toBe(CACHED);
  expect(await cached(complete({ key: "sk-bob", prompt, cache_salt: "bob's" }))).toBe(0);
  expect(await cached(complete({ key: "sk-bob", prompt, cache_salt: "bob's" }))).toBe(CACHED);
});

test("without keys a foreign page shares with itself only: it cannot probe for others' prompts", async () => {
  const access = { ownOrigins: () => ["http://localhost:8420"], isLoopback: false };
  const { complete } = chainServer({ access });
  const from = (origin: string) => complete({ prompt, origin });
  expect(await cached(complete({ prompt }))).toBe(0);
  expect(await cached(from("https://evil.example"))).toBe(0);
  expect(await cached(from("https://evil.example"))).toBe(CACHED);
  expect(await cached(from("http://localhost:8420"))).toBe(CACHED);
});

test("a prompt that ends with its first token says what was cached, too", async () => {
  const { complete } = chainServer();
  const ask = {
    prompt,
    ignore_eos: false,
    stop_token_ids: Array.from({ length: 50 }, (_, i) => i),
  };
  expect(await cached(complete(ask))).toBe(0);
  expect(await cached(complete(ask))).toBe(CACHED);
});

test("without keys all share, but for requests with a salt", async () => {
  const { complete } = chainServer();
  expect(await cached(complete({ remoteAddress: "10.0.0.1", prompt }))).toBe(0);
  expect(await cached(complete({ remoteAddress: "10.0.0.2", prompt }))).toBe(CACHED);
  expect(await cached(complete({ prompt, cache_salt: "a" }))).toBe(0);
  expect(await cached(complete({ prompt, cache_salt: "b" }))).toBe(0);
  expect(await cached(complete({ prompt, cache_salt: "a" }))).toBe(CACHED);
});

test("the next turn finds the answer of the one before", async () => {
  const { complete } = chainServer();
  const body = { prompt, max_tokens: 24, skip_special_tokens: false };
  const { choices } = await (await complete(body)).json();
  const answer = idsOf(choices[0].text);
  expect(answer).toHaveLength(24);
  const turn = [...prompt, ...answer, ...promptOf(8, 3)];
  // 64 tokens were there, the last of them drawn but never run: three whole blocks.
  expect(await cached(complete({ prompt: turn }))).toBe(48);
});

test("usage tells the cached tokens of each prompt once, streamed or whole", async () => {
  const { complete } = chainServer();
  const prompts = [prompt, promptOf(20, 5), promptOf(50, 9)];
  const fresh = await (await complete({ prompt: prompts, n: 2 })).json();
  // The second choice of a prompt may find what the first one left: that was not there before.
  expect(fresh.usage).toEqual({
    prompt_tokens: 110,
    completion_tokens: 24,
    total_tokens: 134,
    prompt_tokens_details: { cached_tokens: 0 },
  });
  expect(fresh.timings).toMatchObject({ cache_n: 0, prompt_n: 110, predicted_n: 24 });
  const again = await (await complete({ prompt: prompts, n: 2 })).json();
  const numCached = CACHED + 16 + 48;
  expect(again.usage.prompt_tokens_details).toEqual({ cached_tokens: numCached });
  expect(again.timings).toMatchObject({ cache_n: numCached, prompt_n: 110 - numCached });
  const body = { prompt: prompts, n: 2, stream: true, stream_options: { include_usage: true } };
  const last = (await events(await complete(body))).at(-2);
  expect(last).toMatchObject({
    usage: { prompt_tokens: 110, prompt_tokens_details: { cached_tokens: numCached } },
    timings: { cache_n: numCached },
  });
});

test("health counts what is cached", async () => {
  const { complete, server, isIdle } = chainServer();
  await complete({ prompt });
  await complete({ prompt });
  await until(isIdle);
  const health = await (await server.fetch(new Request("http://local/health"))).json();
  expect(health).toMatchObject({
    num_free_blocks: 64,
    num_cached_blocks: 2,
    num_prompt_tokens: 80,
    num_cached_prompt_tokens: CACHED,
    num_preemptions: 0,
  });
});

async function cached(response: Promise<Response>): Promise<number> {
  const { usage } = await (await response).json();
  return usage.prompt_tokens_details.cached_tokens;
}

/** Token ids of a text of the tests' tokenizer, which writes special ones as "<0>" and "<1>". */
function idsOf(text: string): number[] {
  return [...text.matchAll(/<([01])>|(.)/gsu)].map(([, special, char = ""]) =>
    special === undefined ? char.codePointAt(0)! : Number(special)
  );
}
