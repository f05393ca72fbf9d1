/** The coordinator's HTTP side while peers come and go; a mesh in one process, without a GPU. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { type CapacityOptions, DEFAULT_CAPACITY } from "../src/cluster/capacity.ts";
import { type Coordinator, startCoordinator } from "../src/coordinator.ts";
import { openGoldenCase } from "../src/golden.ts";
import { Peer } from "../src/peer/peer.ts";
import { FileStore } from "../src/platform/file_store.ts";
import { meshCrypto } from "../src/platform/web_crypto.ts";
import { FakeNet } from "./cluster/fake_net.ts";
import { HashChainHost } from "./cluster/hash_chain_host.ts";
import { quickClock } from "./cluster/quick_clock.ts";
import { smolLm2Metadata } from "./tokenizer/real_tokenizers.ts";

let net: FakeNet;
let coordinator: Coordinator;
const peers: Peer[] = [];

beforeEach(() => open({ kvTokens: 512 }));

async function open(capacity: Partial<CapacityOptions>): Promise<void> {
  net = new FakeNet(quickClock);
  const { source } = await openGoldenCase(new FileStore("tests/golden/llama"), "llama");
  coordinator = await startCoordinator({
    source: { ...source, gguf: smolLm2Metadata() as typeof source.gguf },
    mesh: net.mesh(),
    limits: { ...DEFAULT_CAPACITY, maxBatchTokens: 64, ...capacity },
    clock: quickClock,
    rng: { uint32: () => 7 },
    crypto: meshCrypto,
    now: () => new Date(),
    version: "0",
    name: "Test",
    join: () => ({ link: "http://x/#v1.a.b", command: "c", qrSvg: "<svg/>", note: null }),
    http: { access: { ownOrigins: () => ["http://localhost"], isLoopback: true } },
  });
}

afterEach(close);

async function close(): Promise<void> {
  for (const peer of peers.splice(0)) await peer.leave();
  await coordinator.close();
}

function join(stepMs: number, memoryBytes = 1 << 30): Peer {
  const peer = new Peer({
    mesh: net.mesh(),
    host: new HashChainHost({ hiddenSize: coordinator.config.hiddenSize, stepMs }),
    name: `Peer ${peers.length + 1}`,
    version: "0",
    memoryBytes,
    heldFiles: () => Promise.resolve([]),
    clock: quickClock,
    rng: { uint32: () => 1 << 30 },
  });
  peers.push(peer);
  return peer;
}

async function get(path: string): Promise<Response> {
  return await coordinator.server.fetch(
    new Request(`http://localhost${path}`, { headers: { host: "localhost" } }),
  );
}

async function complete(maxTokens: number): Promise<Response> {
  return await coordinator.server.fetch(
    new Request("http://localhost/v1/completions", {
      method: "POST",
      headers: { host: "localhost", "content-type": "application/json" },
      body: JSON.stringify({
        prompt: [1, 2, 3],
        max_tokens: maxTokens,
        temperature: 0,
        ignore_eos: true,
      }),
    }),
  );
}

async function serving(numStages: number): Promise<void> {
  for (let i = 0; i < 500 && coordinator.cluster.numStages !== numStages; i++) {
    await quickClock.sleep(100);
  }
  expect(coordinator.cluster.numStages).toBe(numStages);
}

test("without peers it says 503, what is missing, and when to come again", async () => {
  for (const response of [await complete(4), await get("/health")]) {
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("2");
    expect((await response.json()).error.message).toBe(
      "The model is not loaded yet (No peer has joined yet): try again in a moment",
    );
  }
  expect(await (await get("/cluster/status")).json()).toMatchObject({
    state: "waiting",
    peers: [],
    pipeline: [],
    numLayers: 3,
  });
});

test("the status tells who holds what, and how they are linked", async () => {
  join(1);
  join(1);
  await serving(2);
  expect((await complete(8)).status).toBe(200);
  await quickClock.sleep(3_000);
  const status = await (await get("/cluster/status")).json();
  expect(status).toMatchObject({ state: "serving", note: null, missingBytes: 0 });
  expect(status.pipeline).toEqual(status.peers.map(({ id }: { id: string }) => id));
  const [first, second] = status.peers;
  expect(first).toMatchObject({ state: "serving", startLayer: 0, hasEmbedding: true });
  expect(second).toMatchObject({ startLayer: first.endLayer, endLayer: 3, hasHead: true });
  expect(first.loadedBytes).toBe(first.shardBytes);
  expect(first.numTokens).toBeGreaterThan(8);
  const ends = status.links.map(({ from, to }: { from: string; to: string }) => [from, to]);
  expect(ends).toContainEqual([status.coordinatorId, first.id]);
  expect(ends).toContainEqual([first.id, second.id]);
  expect(status.links[0]).toMatchObject({ candidateType: "memory", rttMs: expect.any(Number) });
});

test("a request that lost its peers waits, and goes on when one comes in time", async () => {
  const first = join(20);
  await serving(1);
  const answer = complete(100);
  await quickClock.sleep(300);
  await first.leave();
  await quickClock.sleep(5_000);
  join(1);
  const response = await answer;
  expect(response.status).toBe(200);
  expect((await response.json()).usage.completion_tokens).toBe(100);
});

test("after 30 s without peers it ends with a reason, and so do new ones at once", async () => {
  const first = join(20);
  await serving(1);
  const answer = complete(100);
  await quickClock.sleep(300);
  const startMs = quickClock.now();
  await first.leave();
  const response = await answer;
  expect(response.status).toBe(503);
  expect(response.headers.get("retry-after")).toBe("5");
  expect((await response.json()).error).toMatchObject({
    code: "no_pipeline",
    message: expect.stringMatching(/^No peers hold the whole model for 30 s \(No peer is ready/),
  });
  expect(quickClock.now() - startMs).toBeGreaterThan(30_000);
  expect((await complete(4)).status).toBe(503);
  coordinator.engine.checkIntegrity();
  join(1);
  await serving(1);
  expect((await complete(4)).status).toBe(200);
});

test("the cache has the size that was given, and the status says it while something serves", async () => {
  expect(await (await get("/cluster/status")).json()).toMatchObject({ kvTokens: 0 });
  join(1);
  await serving(1);
  expect(await (await get("/cluster/status")).json()).toMatchObject({ kvTokens: 512 });
  expect(coordinator.engine.stats().numBlocks).toBe(32);
  expect(coordinator.engine.maxModelLength).toBe(Math.min(512, coordinator.config.maxPositions));
});

test("without a given size it is what the peers have room for, and more is of no use", async () => {
  await close();
  await open({ kvTokens: null, maxSequences: 3 });
  const { maxPositions } = coordinator.config;
  expect(coordinator.engine.maxModelLength).toBe(maxPositions);
  const small = join(1, 1_300_000);
  await serving(1);
  const { kvTokens } = await (await get("/cluster/status")).json();
  expect(kvTokens).toBeGreaterThanOrEqual(maxPositions);
  expect(kvTokens).toBeLessThan(3 * maxPositions);
  expect(coordinator.engine.stats().numBlocks).toBe(kvTokens / 16);
  await small.leave();
  join(1);
  await serving(1);
  expect(coordinator.engine.stats().numBlocks).toBe(3 * Math.ceil(maxPositions / 16));
});
