/**
 * The program as its users start it: one process, the default model, the OpenAI client.
 */
import OpenAI from "openai";
import { afterAll, expect, test } from "vitest";
import { smolLm2Path } from "./smollm2_gguf.ts";

const child = new Deno.Command(Deno.execPath(), {
  args: [
    ...["run", "-A", "src/cli.ts", "run", await smolLm2Path(), "--port", "0", "--stages", "2"],
    ...["--request-timeout", "900", "--max-waiting", "3"],
  ],
  stdin: "null",
  stdout: "piped",
  stderr: "inherit",
}).spawn();
const url = await readUrl(child.stdout);
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any", maxRetries: 0 });
const MODEL = (await openai.models.list()).data[0]!.id;

afterAll(() => {
  try {
    child.kill("SIGKILL");
  } catch {
    // It ended before, as the last test wants.
  }
});

test("SmolLM2 answers with Paris, streamed to the OpenAI client", async () => {
  const stream = await openai.chat.completions.create({
    model: MODEL,
    messages: [{ role: "user", content: "What is the capital of France?" }],
    temperature: 0,
    max_tokens: 32,
    stream: true,
    stream_options: { include_usage: true },
  });
  let answer = "";
  let numChunks = 0;
  let usage: OpenAI.CompletionUsage | null | undefined;
  let finishReason: string | null | undefined;
  for await (const chunk of stream) {
    const text = chunk.choices[0]?.delta.content ?? "";
    if (text !== "") numChunks++;
    answer += text;
    finishReason ??= chunk.choices[0]?.finish_reason;
    usage ??= chunk.usage;
  }
  expect(answer).toBe("The capital of France is Paris.");
  expect(numChunks).toBeGreaterThan(3);
  expect(finishReason).toBe("stop");
  expect(usage).toMatchObject({ prompt_tokens: 37, completion_tokens: 7 });
});

test("a prompt that was there is found in the cache, and its answer is the same", async () => {
  const ask = () =>
    openai.chat.completions.create({
      model: MODEL,
      messages: [{ role: "user", content: "Which is the longest river of South America?" }],
      temperature: 0,
      max_tokens: 4,
    });
  const [cold, warm] = [await ask(), await ask()];
  expect(cold.usage?.prompt_tokens_details?.cached_tokens).toBeLessThan(32);
  expect(warm.usage?.prompt_tokens_details?.cached_tokens).toBe(32);
  expect(warm.choices[0]!.message).toEqual(cold.choices[0]!.message);
}, 300_000);

test("the flags on deadlines and the queue are those of the server", async () => {
  const ask = (fields: object) =>
    openai.completions.create({ model: MODEL, prompt: "Hello", max_tokens: 1, ...fields });
  await expect(ask({ timeout: 901 })).rejects.toMatchObject({ status: 400, param: "timeout" });
  await ask({ timeout: 900 });
  // 32 run at once, 3 may wait. Of 80 requests in one go no more than these get in.
  const asked = Array.from({ length: 80 }, () => ask({ max_tokens: 2 }));
  const refused = (await Promise.allSettled(asked)).flatMap((outcome) =>
    outcome.status === "rejected" ? [outcome.reason] : []
  );
  expect(refused.length).toBeGreaterThan(0);
  for (const error of refused) expect(error).toMatchObject({ status: 429, code: "queue_full" });
}, 300_000);

test("the same seed draws the same text, alone and beside another request", async () => {
  const ask = (seed: number) =>
    openai.completions.create({
      model: MODEL,
      prompt: "Once upon a time",
      temperature: 1,
      top_p: 0.9,
      max_tokens: 8,
      seed,
    });
  const alone = await ask(7);
  const [first, second] = await Promise.all([ask(7), ask(8)]);
  expect(first.choices[0]!.text).toBe(alone.choices[0]!.text);
  expect(second.choices[0]!.text).not.toBe(alone.choices[0]!.text);
}, 300_000);

test("a client that hangs up is cancelled and its blocks are free within a second", async () => {
  const controller = new AbortController();
  const stream = await openai.chat.completions.create({
    model: MODEL,
    messages: [{ role: "user", content: "Count from one to a thousand." }],
    max_tokens: 400,
    stream: true,
  }, { signal: controller.signal });
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
  controller.abort();
  const deadlineMs = performance.now() + 1000;
  let health = await readHealth();
  while (health.running > 0 && performance.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    health = await readHealth();
  }
  expect(health).toMatchObject({ running: 0, waiting: 0 });
  expect(health.free).toBe(health.total);
}, 300_000);

test("the first Ctrl+C ends an idle server with 130", async () => {
  child.kill("SIGINT");
  expect((await child.status).code).toBe(130);
});

async function readHealth() {
  const body = await (await fetch(`${url}/health`)).json();
  return {
    running: body.num_running,
    waiting: body.num_waiting,
    free: body.num_free_blocks,
    total: body.num_blocks,
  };
}

async function readUrl(stdout: ReadableStream<Uint8Array>): Promise<string> {
  let output = "";
  const decoder = new TextDecoder();
  for await (const bytes of stdout) {
    output += decoder.decode(bytes, { stream: true });
    const found = /^Open\s+(http:\/\/\S+?)\/?$/m.exec(output)?.[1];
    if (found !== undefined) return found;
  }
  throw new Error(`The server ended without an address:\n${output}`);
}
