/** A coordinator without GPU and two headless peers, each a process of its own. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ClusterStatus } from "../../src/cluster/status.ts";
import { type CoordinatorProcess, Processes, type ProgramProcess } from "../mesh/processes.ts";
import {
  expectGreedy,
  expectTexts,
  FIVE_CASES,
  GREEDY_CASES,
  streamGreedy,
} from "./greedy_texts.ts";

const processes = new Processes();
let coordinator: CoordinatorProcess;
const nodes = new Map<string, ProgramProcess>();
const EIGHT = GREEDY_CASES.slice(0, 8);
const SHORT = { numTokens: 16 };

beforeAll(async () => {
  coordinator = await processes.coordinator(["--peers", "2"]);
});
afterAll(() => processes.close());

test("without peers a request is refused at once, with what is missing", async () => {
  const response = await coordinator.fetch("/v1/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt: "Hello" }),
  });
  expect(response.status).toBe(503);
  expect(response.headers.get("retry-after")).not.toBeNull();
  expect((await response.json()).error.message).toMatch(/\w{4}/);
});

test("two peers share the layers, and each downloads only its own", async () => {
  for (const name of ["A", "B"]) nodes.set(name, processes.node(coordinator.link, { name }));
  const status = await processes.serving(coordinator);
  const [first, second] = rangesOf(status);
  expect([first![0], second![1]]).toEqual([0, 30]);
  expect(first![1]).toBe(second![0]);
  for (const { name, shardBytes, loadedBytes, downloadedBytes } of status.peers) {
    expect(shardBytes, name).toBeGreaterThan(0);
    expect(loadedBytes, name).toBe(shardBytes);
    expect(downloadedBytes, name).toBeGreaterThan(0);
    expect(downloadedBytes, name).toBeLessThanOrEqual(shardBytes * 1.05);
  }
});

test("5 prompts of 64 tokens each give the tokens of one machine", async () => {
  await expectGreedy(coordinator, FIVE_CASES);
});

test("so do 8 streams at once", async () => {
  await expectGreedy(coordinator, EIGHT, SHORT);
});

test("a peer that dies is missed within 3 s, and streams go on as if it had not", async () => {
  const texts = EIGHT.map(() => "");
  const streams = Promise.all(
    EIGHT.map((greedy, i) =>
      streamGreedy(coordinator, greedy, { ...SHORT, onText: (text) => texts[i] = text })
    ),
  );
  // Looked at below.
  streams.catch(() => {});
  await processes.until(() => texts.every((text) => text !== ""), {
    what: () => `8 streams under way: ${JSON.stringify(texts)}`,
    withinMs: 60_000,
  });
  nodes.get("B")!.kill("SIGKILL");
  await processes.status(coordinator, ({ peers }) => peers.every(({ name }) => name !== "B"), {
    what: 'a status without "B"',
    withinMs: 3_000,
  });
  const numBefore = texts.join("").length;
  const after = await streams;
  expect(after.join("").length).toBeGreaterThan(numBefore);
  expectTexts(after, EIGHT, SHORT);
});

test("the last peer leaves politely, and a request waits for the next one", async () => {
  nodes.get("A")!.kill("SIGINT");
  const isEmpty = ({ peers, pipeline }: ClusterStatus) => peers.length + pipeline.length === 0;
  await processes.status(coordinator, isEmpty, { what: "no peer", withinMs: 3_000 });
  expect(await nodes.get("A")!.ended).toBe(130);
  const waiting = streamGreedy(coordinator, EIGHT[0]!, SHORT);
  processes.node(coordinator.link, { name: "C", cache: "A" });
  expectTexts([await waiting], EIGHT.slice(0, 1), SHORT);
  const status = await processes.serving(coordinator);
  expect(rangesOf(status)).toEqual([[0, 30]]);
  // "A" kept all layers in the same cache.
  expect(status.peers[0]!.downloadedBytes).toBe(0);
});

test("the first Ctrl+C ends the coordinator with 130; started again, its peers come back", async () => {
  const { port } = new URL(coordinator.url);
  const { link } = coordinator;
  coordinator.kill("SIGINT");
  expect(await coordinator.ended).toBe(130);
  coordinator = await processes.coordinator(["--port", port]);
  expect(coordinator.link).toBe(link);
  const { peers } = await processes.serving(coordinator);
  expect(peers.map(({ name }) => name)).toEqual(["C"]);
  await expectGreedy(coordinator, EIGHT.slice(0, 1), { numTokens: 4 });
});

function rangesOf({ peers }: ClusterStatus) {
  return peers.map(({ startLayer, endLayer }) => [startLayer, endLayer] as const);
}
