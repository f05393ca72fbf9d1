/** Who may wait, and what the others are told. */
import { expect, test } from "vitest";
import { chainServer, promptOf } from "./chain_server.ts";
import { ManualClock, until } from "./clocks.ts";
import { post } from "./fakes.ts";

const HEAVY = "sk-heavy";
const LIGHT = "sk-light";
const TWO_KEYS = { ownOrigins: () => [], isLoopback: false, apiKeys: [HEAVY, LIGHT] };
const prompt = promptOf(20);

/** One sequence runs at a time and ends only when told; up to 4 wait. */
function heldServer(options: Parameters<typeof chainServer>[0] = {}) {
  const server = chainServer({
    isHeld: true,
    maxWaiting: 4,
    scheduler: { maxSequences: 1 },
    ...options,
  });
  const answers: Promise<Response>[] = [];
  const numOpen = () => server.engine.stats().numRunning + server.engine.stats().numWaiting;
  return {
    ...server,
    numOpen,
    numWaiting: () => server.engine.stats().numWaiting,
    /** Sends a request that is to be let in, with one sequence unless `n` says otherwise. */
    send: async ({ n = 1, ...fields }: { n?: number; [field: string]: unknown } = {}) => {
      const numBefore = numOpen();
      answers.push(server.complete({ prompt, n, ...fields }));
      await until(() => numOpen() === numBefore + n);
    },
    /** Lets all that were let in end. */
    finish: async () => {
      while (!server.isIdle()) await server.steps(1);
      return await Promise.all(answers.map(async (answer) => (await answer).status));
    },
  };
}

async function refusal(response: Promise<Response>) {
  const { status, headers } = await response;
  const { error } = await (await response).json();
  expect([status, error.code, error.type]).toEqual([429, "queue_full", "rate_limit_error"]);
  return { message: error.message as string, retryAfter: headers.get("retry-after") };
}

test("one client holds half of the queue, and the rest is for others", async () => {
  const { complete, send, finish, numWaiting } = heldServer({ access: TWO_KEYS });
  for (let i = 0; i < 3; i++) await send({ key: HEAVY });
  expect(numWaiting()).toBe(2);
  const tooMuch = await refusal(complete({ prompt, key: HEAVY }));
  expect(tooMuch.message).toBe(
    "2 of your sequences are waiting, and one client may have 2 there, half of the queue",
  );
  for (let i = 0; i < 2; i++) await send({ key: LIGHT });
  const full = await refusal(complete({ prompt, key: LIGHT }));
  expect(full.message).toBe("The queue is full: 4 sequences are waiting, at most 4 may");
  expect(await finish()).toEqual([200, 200, 200, 200, 200]);
});

test("who runs does not wait: only what has no token yet counts", async () => {
  const { complete, send, steps, finish, numWaiting } = heldServer({
    access: TWO_KEYS,
    scheduler: { maxSequences: 3 },
  });
  for (let i = 0; i < 3; i++) await send({ key: HEAVY, max_tokens: 50 });
  await steps(4);
  for (let i = 0; i < 2; i++) await send({ key: LIGHT });
  expect(numWaiting()).toBe(2);
  for (let i = 0; i < 2; i++) await send({ key: HEAVY });
  await refusal(complete({ prompt, key: HEAVY }));
  expect(await finish()).toEqual([200, 200, 200, 200, 200, 200, 200]);
});

test("a server with one key has one client, who may use the whole queue", async () => {
  const access = { ownOrigins: () => [], isLoopback: false, apiKeys: ["sk-only"] };
  const { complete, send, finish, numWaiting } = heldServer({ access });
  for (let i = 0; i < 5; i++) await send({ key: "sk-only" });
  expect(numWaiting()).toBe(4);
  await refusal(complete({ key: "sk-only", prompt }));
  expect(await finish()).toEqual([200, 200, 200, 200, 200]);
});

test("keys are told apart, not addresses, where there are keys", async () => {
  const access = { ownOrigins: () => [], isLoopback: false, apiKeys: ["sk-ann", "sk-bob"] };
  const { complete, send, finish } = heldServer({ access });
  for (let i = 0; i < 3; i++) await send({ key: "sk-ann", remoteAddress: `10.0.0.${i}` });
  await refusal(complete({ prompt, key: "sk-ann", remoteAddress: "10.0.0.9" }));
  await send({ key: "sk-bob", remoteAddress: "10.0.0.1" });
  expect(await finish()).toEqual([200, 200, 200, 200]);
});

test("without keys an address is no client of its own: it may use the whole queue", async () => {
  const { complete, send, finish, numWaiting } = heldServer();
  for (let i = 0; i < 5; i++) await send({ remoteAddress: "127.0.0.1" });
  expect(numWaiting()).toBe(4);
  await refusal(complete({ prompt, remoteAddress: "127.0.0.1" }));
  expect(await finish()).toEqual([200, 200, 200, 200, 200]);
});

test("all choices of a request are let in or none", async () => {
  const { complete, send, finish, numWaiting } = heldServer();
  await send();
  await send({ key: LIGHT });
  await send({ key: HEAVY });
  expect(numWaiting()).toBe(2);
  await refusal(complete({ prompt, n: 3, remoteAddress: "10.0.0.3" }));
  await refusal(complete({ prompt: [prompt, prompt, prompt], remoteAddress: "10.0.0.3" }));
  expect(numWaiting()).toBe(2);
  await send({ n: 2, remoteAddress: "10.0.0.3" });
  expect(numWaiting()).toBe(4);
  expect(await finish()).toEqual([200, 200, 200, 200]);
});

test("a request with more choices than may wait is let in when none wait", async () => {
  const { complete, send, finish, numWaiting } = heldServer();
  await send({ n: 8 });
  expect(numWaiting()).toBe(7);
  await refusal(complete({ prompt, key: LIGHT }));
  expect(await finish()).toEqual([200]);
});

test("places are free again after hang-ups, stops and refused requests", async () => {
  const { complete, send, finish, numOpen, numWaiting, server } = heldServer({ access: TWO_KEYS });
  const headers = { authorization: `Bearer ${HEAVY}` };
  const stop = (id: string) => post(server, "/v1/stop_request", { request_id: id }, { headers });
  await send({ key: LIGHT });
  for (let round = 0; round < 20; round++) {
    const hangUp = new AbortController();
    const isStream = round % 2 === 0;
    const fields = { prompt, key: HEAVY, stream: isStream };
    const left = complete({ ...fields, signal: hangUp.signal });
    const stopped = complete({ ...fields, request_id: `r${round}` });
    await until(() => numWaiting() === 2);
    expect((await complete({ ...fields, request_id: `r${round}` })).status).toBe(429);
    hangUp.abort();
    if (isStream) await (await left).body?.cancel();
    await stop(`r${round}`);
    await (await stopped).text();
    await until(() => numOpen() === 1);
    // An id that is taken, found out after there was room.
    await send({ key: HEAVY, request_id: "same" });
    expect((await complete({ ...fields, request_id: "same" })).status).toBe(409);
    await stop("same");
    await until(() => numOpen() === 1);
  }
  await finish();
});

test("Retry-After is how long those who wait will take at the pace of late", async () => {
  const clock = new ManualClock();
  const { complete, send, steps, numWaiting } = heldServer({ clock, maxWaiting: 3 });
  await send({ remoteAddress: "first" });
  // Two ends, 6 s each.
  for (let i = 0; i < 2; i++) {
    clock.advance(6000);
    await send({ remoteAddress: `next ${i}` });
    await steps(5);
  }
  for (let i = 0; i < 3; i++) await send({ remoteAddress: `other ${i}` });
  expect(numWaiting()).toBe(3);
  const after = async () => (await refusal(complete({ prompt }))).retryAfter;
  expect(await after()).toBe("18");
  clock.advance(6000);
  expect(await after()).toBe("27");
  clock.advance(60_000);
  expect(await after()).toBe("60");
});

test("Retry-After is at least a second", async () => {
  const { complete, send, finish } = heldServer({ clock: new ManualClock(), maxWaiting: 1 });
  for (let i = 0; i < 2; i++) await send();
  expect((await refusal(complete({ prompt, key: LIGHT }))).retryAfter).toBe("1");
  await finish();
});
