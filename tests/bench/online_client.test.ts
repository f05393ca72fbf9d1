import { afterEach, describe, expect, test } from "vitest";
import { CompletionClient } from "../../bench/online/completion_client.ts";
import { decodeTogether } from "../../bench/online/decode_together.ts";
import { measureInterference, streamTokens } from "../../bench/online/interference.ts";
import { measurePrefix } from "../../bench/online/prefix_pairs.ts";
import { SeededRandom } from "../../bench/online/seeded_random.ts";
import { Streams } from "../../bench/online/streams.ts";
import { Users } from "../../bench/online/users.ts";
import { systemClock as clock } from "../../src/platform/system.ts";
import {
  ending,
  type Script,
  type ScriptedServer,
  scriptedServer,
  token,
  tokens,
} from "./scripted_completions.ts";

let server: ScriptedServer | null = null;
afterEach(() => server?.close());

const { signal } = new AbortController();
const request = { promptTokenIds: [5, 6], maxTokens: 2 };

async function clientOf(script: Script): Promise<CompletionClient> {
  server = await scriptedServer(script);
  return new CompletionClient({ url: server.url, model: "m" }, clock);
}

describe("CompletionClient", () => {
  test("notes a time for each token and what the server counted, however events are cut", async () => {
    const usage = { completion_tokens: 2, prompt_tokens_details: { cached_tokens: 1 } };
    const text = `: keep-alive\n\n${token(" a")}${token(" ü")}${ending(usage)}`;
    const client = await clientOf(async function* () {
      for (const character of text) {
        yield character;
        await Promise.resolve();
      }
    });
    let numHeard = 0;
    const answer = await client.complete(request, { signal, onToken: () => numHeard++ });
    expect(answer).toMatchObject({
      outcome: "done",
      error: null,
      usage: { completionTokens: 2, cachedTokens: 1 },
    });
    expect(numHeard).toBe(2);
    const times = [answer.sentMs, ...answer.tokenMs, answer.endMs];
    expect(times).toHaveLength(4);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(server?.requests).toEqual([{
      ...{ model: "m", prompt: [5, 6], max_tokens: 2, temperature: 0, ignore_eos: true },
      ...{ stream: true, stream_options: { include_usage: true } },
    }]);
  });

  test("a server that does not say what was cached or how much there was is taken as it is", async () => {
    const bare = await clientOf(async function* () {
      yield `${token("a")}data: {"choices":[{"text":"","finish_reason":"stop"}]}\n\n`;
    });
    expect(await bare.complete(request, { signal })).toMatchObject({
      outcome: "done",
      usage: null,
    });
  });

  test.each<[string, Script, RegExp]>([
    ["a refusal", () => new Response("The queue is full", { status: 429 }), /^429: The queue is/],
    ["an error in the stream", async function* () {
      yield token("a") + `data: {"error":{"message":"The pool is gone"}}\n\ndata: [DONE]\n\n`;
    }, /^The pool is gone$/],
    ["a stream without an end", async function* () {
      yield token("a");
    }, /broke off/],
    ["what is no JSON", async function* () {
      yield "data: {oops\n\n";
    }, /JSON/],
  ])("says that %s has failed, and why", async (_, script, reason) => {
    const client = await clientOf(script);
    const answer = await client.complete(request, { signal });
    expect(answer.outcome).toBe("failed");
    expect(answer.error).toMatch(reason);
  });

  test("a server that is not there fails, too", async () => {
    const client = await clientOf(tokens);
    await server?.close();
    expect((await client.complete(request, { signal })).outcome).toBe("failed");
  });

  test("an abort ends it with what was there", async () => {
    const client = await clientOf(tokens);
    const stopping = new AbortController();
    const answer = await client.complete(
      { promptTokenIds: [1], maxTokens: 1e6 },
      { signal: stopping.signal, onToken: () => stopping.abort() },
    );
    expect(answer).toMatchObject({ outcome: "aborted", error: null, usage: null });
    expect(answer.tokenMs).toHaveLength(1);
  });
});

describe("Users", () => {
  const load = { seed: 0, promptTokens: 4, outputTokens: 6, vocabSize: 300 };

  test("the window opens when each has had an answer, and leaves nothing running", async () => {
    const client = await clientOf(tokens);
    const { answers, window } = await new Users({
      ...{ client, clock, numUsers: 5 },
      load: { ...load, arrivals: { type: "closed", thinkMs: 2 } },
    }).observe(150);
    const early = answers.filter(({ endMs }) => endMs <= window.startMs);
    expect(early.length).toBeGreaterThanOrEqual(5);
    expect(answers.filter(({ outcome }) => outcome === "done").length).toBeGreaterThan(5);
    expect(answers.every(({ outcome }) => outcome !== "failed")).toBe(true);
    // Each user waits for an answer: no more are open at the end than there are users.
    const cut = answers.filter(({ outcome }) => outcome === "aborted");
    expect(cut.length).toBeLessThanOrEqual(5);
    expect(cut.every(({ endMs }) => endMs >= window.endMs)).toBe(true);
    // One that was cut at once may never have reached the server.
    expect(answers.length).toBeGreaterThanOrEqual(server!.requests.length);
  });

  test("Poisson arrivals do not wait for answers", async () => {
    const client = await clientOf(async function* (request, signal) {
      // The first is quick, so that the window opens.
      yield* tokens({ ...request, max_tokens: server!.requests.length === 1 ? 1 : 1e6 }, signal);
    });
    const { answers } = await new Users({
      ...{ client, clock, numUsers: 1 },
      load: { ...load, arrivals: { type: "poisson", perUserPerS: 200 } },
    }).observe(200);
    expect(answers.filter(({ outcome }) => outcome === "aborted").length).toBeGreaterThan(3);
  });

  test("go on after a failure, which is counted", async () => {
    const client = await clientOf((request, signal) =>
      server!.requests.length === 1
        ? new Response("Not yet", { status: 503 })
        : tokens(request, signal)
    );
    const { answers } = await new Users({
      ...{ client, clock, numUsers: 2 },
      load: { ...load, arrivals: { type: "closed", thinkMs: 1 } },
    }).observe(100);
    expect(answers.map(({ error }) => error).filter((error) => error !== null)).toEqual([
      "503: Not yet",
    ]);
  });
});

describe("Streams", () => {
  const prompts = [[1], [2], [3]];

  test("tell when each has so many tokens, and stop together", async () => {
    const client = await clientOf(tokens);
    const streams = new Streams(client, { prompts, maxTokens: 1e6, signal });
    await streams.allHave(3);
    const seen = streams.mostTokens;
    await streams.allHave(seen + 1);
    const answers = await streams.stop();
    expect(answers.map(({ outcome }) => outcome)).toEqual(Array(3).fill("aborted"));
    expect(Math.min(...answers.map(({ tokenMs }) => tokenMs.length))).toBeGreaterThan(seen);
  });

  test("one that ends too early or fails is said, with the reason", async () => {
    const client = await clientOf((request, signal) =>
      request.prompt[0] === 2 ? new Response("Too long", { status: 400 }) : tokens(request, signal)
    );
    const failing = new Streams(client, { prompts, maxTokens: 1e6, signal });
    await expect(failing.allHave(1)).rejects.toThrow("A stream failed (400: Too long) after 0");
    await failing.stop();
    const short = new Streams(client, { prompts: [[1]], maxTokens: 2, signal });
    await expect(short.allHave(3)).rejects.toThrow("A stream ended after 2 tokens");
    await short.allHave(2);
  });

  test("decodeTogether() watches them from the last first token to the first end", async () => {
    const client = await clientOf(async function* (request, signal) {
      const length = { 1: 4, 2: 500, 3: 1000 }[request.prompt[0]!]!;
      if (length === 4) {
        while (server!.requests.length < 3) await clock.sleep(1);
      }
      yield* tokens({ ...request, max_tokens: length }, signal);
    });
    const { answers, window } = await decodeTogether(client, {
      ...{ prompts, maxTokens: 1000, signal, clock },
    });
    const firsts = answers.map(({ tokenMs }) => tokenMs[0]!);
    expect(window.startMs).toBeGreaterThanOrEqual(Math.max(...firsts));
    const done = answers.filter(({ outcome }) => outcome === "done");
    expect(done.map(({ tokenMs }) => tokenMs.length)).toEqual([4]);
    expect(window.endMs).toBeGreaterThanOrEqual(done[0]!.endMs);
  });
});

test("measurePrefix() sends fresh prefixes twice, with different ends", async () => {
  const seen = new Set<string>();
  const client = await clientOf(async function* ({ prompt }) {
    const prefix = prompt.slice(0, 32).join();
    const cached_tokens = seen.has(prefix) ? 32 : 0;
    seen.add(prefix);
    yield token("a") + ending({ completion_tokens: 1, prompt_tokens_details: { cached_tokens } });
  });
  const times = await measurePrefix(client, {
    ...{ prefixTokens: 32, numPairs: 2, vocabSize: 1000, random: new SeededRandom(0), signal },
  });
  expect(times).toMatchObject({ cachedTokens: 32, coldCachedTokens: 0 });
  expect(seen.size).toBe(3);
  expect(new Set(server!.requests.map(({ prompt }) => prompt.join())).size).toBe(6);
});

test("measureInterference() sends the long prompt alone, then among streams that outlast it", async () => {
  const load = {
    ...{ numStreams: 3, promptTokens: 4, longPromptTokens: 64, quietTokens: 5 },
    ...{ chunkTokens: 16, rounds: 2 },
  };
  let numOpen = 0;
  const openAtLong: number[] = [];
  const client = await clientOf(async function* (request, signal) {
    const { length } = request.prompt;
    if (length === load.longPromptTokens) openAtLong.push(numOpen);
    // As a real server does, which runs one step after the other.
    if (length === 1) { while (numOpen > 0) await clock.sleep(1); }
    if (length > load.promptTokens) await clock.sleep(20);
    const isStream = length === load.promptTokens;
    if (isStream) numOpen++;
    try {
      yield* tokens(request, signal);
    } finally {
      if (isStream) numOpen--;
    }
  });
  const seen = await measureInterference(client, {
    ...{ load, vocabSize: 1000, random: new SeededRandom(0), clock, signal },
  });
  expect(openAtLong).toEqual([0, 3, 0, 3]);
  expect(seen.chunkMs).toBeCloseTo(seen.aloneMs / 4, 9);
  expect(seen.aloneMs).toBeGreaterThan(0);
  expect(seen.before.max).toBeGreaterThanOrEqual(seen.before.p50);
  expect(seen.during.max).toBeGreaterThan(0);
  const streams = server!.requests.filter(({ prompt }) => prompt.length === load.promptTokens);
  expect(streams.slice(3).map(({ max_tokens }) => max_tokens)).toEqual(
    Array(6).fill(streamTokens(load)),
  );
});
