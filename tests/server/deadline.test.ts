/** Requests that take too long end with what was sent, and leave nothing behind. */
import { expect, test } from "vitest";
import { chainServer, promptOf } from "./chain_server.ts";
import { ManualClock, until } from "./clocks.ts";
import { events } from "./fakes.ts";

const TIMEOUT = {
  message: "The generation took longer than 5 s: allow more time or fewer tokens",
  type: "server_error",
  param: null,
  code: "timeout",
};
const prompt = promptOf(20);

function slowServer() {
  const clock = new ManualClock();
  return { ...chainServer({ isHeld: true, clock, scheduler: { maxSequences: 2 } }), clock };
}

test("a whole answer that takes too long is a 504, for those that wait and those that run", async () => {
  const { complete, engine, steps, clock, isIdle } = slowServer();
  const answer = complete({ prompt, n: 3, timeout: 5, max_tokens: 50 });
  await until(() => engine.stats().numRunning + engine.stats().numWaiting === 3);
  await steps(4);
  expect(engine.stats()).toMatchObject({ numRunning: 2, numWaiting: 1 });
  clock.advance(4999);
  await steps(1);
  expect(engine.stats().numRunning).toBe(2);
  clock.advance(1);
  const response = await answer;
  expect([response.status, (await response.json()).error]).toEqual([504, TIMEOUT]);
  await until(isIdle);
  expect(clock.numSleepers).toBe(0);
});

test("a stream has its text, then the error", async () => {
  const { complete, engine, steps, clock, isIdle } = slowServer();
  const body = { prompt, stream: true, skip_special_tokens: false };
  const streamed = events(await complete({ ...body, timeout: 5, max_tokens: 50 }));
  const other = events(await complete({ ...body, max_tokens: 12 }));
  await steps(6);
  expect(engine.stats().numRunning).toBe(2);
  clock.advance(5000);
  const parts = await streamed as { choices?: { text: string }[]; error?: unknown }[];
  const texts = parts.flatMap(({ choices = [] }) => choices.map(({ text }) => text));
  expect(texts.length).toBeGreaterThan(2);
  expect(texts.every((text) => text !== "")).toBe(true);
  expect(parts.slice(-2)).toEqual([{ error: TIMEOUT }, "[DONE]"]);
  // Nobody else is the worse for it.
  await steps(20);
  expect((await other).at(-2)).toMatchObject({ choices: [{ finish_reason: "length" }] });
  await until(isIdle);
  expect(clock.numSleepers).toBe(0);
});

test("an answer in time leaves no timer", async () => {
  const { complete, engine, steps, clock, isIdle } = slowServer();
  const answer = complete({ prompt });
  await until(() => engine.stats().numRunning === 1);
  await steps(10);
  expect((await answer).status).toBe(200);
  expect([isIdle(), clock.numSleepers]).toEqual([true, 0]);
});
