import { afterEach, expect, test } from "vitest";
import { ClusterBench } from "./bench.ts";
import { quickClock } from "./quick_clock.ts";

let bench: ClusterBench;
afterEach(() => bench.close());

const PROMPTS = [[1, 2, 3], Array.from({ length: 70 }, (_, i) => i % 50), [9], [4, 4, 4, 4]];

async function expectExact(numTokens = 40): Promise<void> {
  const outputs = await Promise.all(PROMPTS.map((prompt) => bench.generate(prompt, numTokens)));
  for (const { tokenIds, expected } of outputs) expect(tokenIds).toEqual(expected);
  bench.engine.checkIntegrity();
}

test("one peer gets all layers, and tokens are those of one machine", async () => {
  bench = new ClusterBench();
  const { host } = bench.join();
  await bench.serving(1);
  expect(host.stage?.shard).toEqual({
    startLayer: 0,
    endLayer: 3,
    hasEmbedding: true,
    hasHead: true,
  });
  await expectExact();
});

test("three peers share the layers; each reads its own tensors and no others", async () => {
  bench = new ClusterBench({ minPeers: 3 });
  const peers = [bench.join(), bench.join(), bench.join()];
  await bench.serving(3);
  await expectExact();
  const { layerBytes, embeddingBytes } = bench.costs;
  const downloaded = peers.map(({ host }) => host.stage!.state.downloadedBytes);
  const total = downloaded.reduce((sum, bytes) => sum + bytes, 0);
  const stored = layerBytes.reduce((sum, bytes) => sum + bytes, 0) + embeddingBytes;
  // Embedding and head are two matrices here; the head has the final norm, too.
  expect(total).toBeGreaterThan(stored);
  expect(total).toBeLessThan(stored + 1.05 * embeddingBytes);
  for (const { peer } of peers) expect(peer.view()).toMatchObject({ state: "serving", note: null });
  expect(peers.map(({ peer }) => peer.view().startLayer).sort()).toEqual([0, 1, 2]);
});

test("a peer that joins an idle mesh gets its share of the layers", async () => {
  bench = new ClusterBench();
  bench.join();
  await bench.serving(1);
  bench.join();
  await bench.serving(2);
  await expectExact();
});

test("a peer that joins a busy mesh waits until nobody is disturbed", async () => {
  bench = new ClusterBench();
  const first = bench.join({ stepMs: 20 });
  await bench.serving(1);
  const running = bench.generate([1], 150);
  await bench.until(() => bench.engine.stats().numRunning === 1);
  bench.join();
  const { tokenIds, expected } = await running;
  expect(tokenIds).toEqual(expected);
  expect(first.host.loads).toHaveLength(1);
  await bench.serving(2);
});

test("memory decides: a peer that lends little gets few layers", async () => {
  bench = new ClusterBench({ minPeers: 2 });
  const memoryBytes = bench.stageBytes({ startLayer: 2, endLayer: 3 }) + 1000;
  const small = bench.join({ memoryBytes, readGBps: 100 });
  const large = bench.join({ readGBps: 1 });
  await bench.serving(2);
  expect(small.host.stage?.shard).toMatchObject({ endLayer: 3, startLayer: 2, hasHead: true });
  expect(large.host.stage?.shard).toMatchObject({ startLayer: 0, endLayer: 2 });
  await expectExact();
});

test("too little memory is said in bytes, and one more peer mends it", async () => {
  bench = new ClusterBench();
  bench.join({ memoryBytes: 1000 });
  await bench.until(() => bench.cluster.condition.missingBytes > 0);
  expect(bench.cluster.condition.state).toBe("waiting");
  expect(bench.cluster.numStages).toBe(0);
  expect(bench.cluster.condition.note).toMatch(
    /^The peers lend too little memory: .* GB more are needed$/,
  );
  bench.join({ memoryBytes: bench.cluster.condition.missingBytes + 1 });
  await bench.serving(1);
  expect(bench.cluster.condition.missingBytes).toBe(0);
});

for (const how of ["leaves", "dies without a word"] as const) {
  test(`a peer ${how}: its streams pause, then go on without a token lost or doubled`, async () => {
    bench = new ClusterBench({ minPeers: 2 });
    bench.join({ stepMs: 20 });
    const { peer, mesh } = bench.join({ stepMs: 20 });
    await bench.serving(2);
    const outputs = PROMPTS.map((prompt) => bench.generate(prompt, 120));
    await bench.until(() => bench.engine.stats().numGeneratedTokens > 20);
    if (how === "leaves") await peer.leave();
    else bench.net.cut(mesh.peerId);
    const { numRunning, numWaiting } = bench.engine.stats();
    expect(numRunning + numWaiting).toBe(PROMPTS.length);
    await bench.until(() => bench.cluster.members.length === 1);
    for (const output of outputs) {
      const { tokenIds, expected } = await output;
      expect(tokenIds).toEqual(expected);
    }
    bench.engine.checkIntegrity();
    expect(bench.engine.stats().numPreemptions).toBeGreaterThan(0);
    expect(bench.cluster.members).toHaveLength(1);
  });
}

test("a wire between two stages breaks: both are alive, and the streams go on", async () => {
  bench = new ClusterBench({ minPeers: 3 });
  const peers = [1, 2, 3].map(() => bench.join({ stepMs: 20 }));
  await bench.serving(3);
  const { epoch } = bench.cluster;
  const outputs = PROMPTS.map((prompt) => bench.generate(prompt, 100));
  await bench.until(() => bench.engine.stats().numGeneratedTokens > 20);
  bench.net.pairs.find(({ ids }) => peers.every(({ mesh }) => mesh.peerId !== ids[0]) === false)!
    .pair.isCut = true;
  await bench.until(() => bench.cluster.epoch > epoch);
  await bench.serving(3);
  for (const output of outputs) {
    const { tokenIds, expected } = await output;
    expect(tokenIds).toEqual(expected);
  }
});

test("the last peer leaves: requests wait for the next one", async () => {
  bench = new ClusterBench();
  const first = bench.join({ stepMs: 20 });
  await bench.serving(1);
  const output = bench.generate([1, 2], 100);
  await bench.until(() => bench.engine.stats().numGeneratedTokens > 5);
  await first.peer.leave();
  expect(bench.cluster.numStages).toBe(0);
  await bench.until(() => bench.cluster.condition.state === "waiting");
  expect(bench.cluster.condition.downMs).toBeGreaterThan(0);
  bench.join();
  const { tokenIds, expected } = await output;
  expect(tokenIds).toEqual(expected);
});

test("a paused peer gives up its layers and gets them again when it goes on", async () => {
  bench = new ClusterBench();
  bench.join();
  const { peer, host } = bench.join();
  await bench.serving(2);
  await peer.pause();
  expect(host.stage?.isClosed).toBe(true);
  await bench.serving(1);
  await expectExact(10);
  expect(peer.view()).toMatchObject({ state: "paused", startLayer: null });
  peer.resume();
  await bench.serving(2);
  await expectExact(10);
});

test("a device that cannot load is left alone for a while, and the others serve", async () => {
  bench = new ClusterBench({ minPeers: 2 });
  bench.join({
    onLoad: () => {
      throw new Error("The device is out of memory");
    },
  });
  bench.join();
  bench.join();
  await bench.serving(2);
  await expectExact(10);
  expect(bench.notices.join("\n")).toContain("The device is out of memory");
});

test("a step that one stage cannot run fails its own sequences and no others", async () => {
  let isDoomed = false;
  bench = new ClusterBench({ minPeers: 2 });
  for (let i = 0; i < 2; i++) {
    bench.join({
      onBatch: ({ slices }) => {
        const isFirst = slices[0]?.startPosition === 0;
        if (isDoomed && isFirst && slices[0]?.tokenIds.length === 7) throw new Error("Out of luck");
      },
    });
  }
  await bench.serving(2);
  isDoomed = true;
  const sound = bench.generate([1, 2], 60);
  await bench.until(() => bench.engine.stats().numGeneratedTokens > 5);
  await expect(bench.generate([1, 2, 3, 4, 5, 6, 7], 5)).rejects.toThrow("Out of luck");
  const { tokenIds, expected } = await sound;
  expect(tokenIds).toEqual(expected);
  await expectExact(10);
});

test("a lost device is a goodbye of its peer", async () => {
  bench = new ClusterBench();
  bench.join();
  const { host, peer } = bench.join();
  await bench.serving(2);
  host.lose(new Error("GPU device lost (unknown): watchdog"));
  await bench.serving(1);
  expect(peer.view()).toMatchObject({
    state: "left",
    note: "GPU device lost (unknown): watchdog",
  });
  await expectExact(10);
});

test("a cluster that closes gives out no more layers", async () => {
  bench = new ClusterBench();
  const { host } = bench.join();
  await bench.serving(1);
  bench.cluster.close();
  await quickClock.sleep(2_000);
  expect(host.loads).toHaveLength(1);
  expect(bench.cluster).toMatchObject({ epoch: 51, numStages: 0 });
});

test("a member without a stage cannot end anyone's request, nor join twice", async () => {
  bench = new ClusterBench();
  bench.join({ stepMs: 20 });
  await bench.serving(1);
  const output = bench.generate([1], 60);
  await bench.until(() => bench.engine.stats().numGeneratedTokens > 5);
  const stranger = bench.net.mesh();
  stranger.announce("peer");
  await bench.until(() => stranger.links.length === 1);
  const [link] = stranger.links;
  for (let stepId = 1; stepId < 100; stepId++) {
    for (const type of ["step-failed", "stage-lost", "load-failed"]) {
      link!.sendControl({ type, epoch: bench.cluster.epoch, stepId, reason: "Ha" });
    }
  }
  link!.sendControl({ type: "resume" });
  const { tokenIds, expected } = await output;
  expect(tokenIds).toEqual(expected);
  expect(bench.engine.stats().numPreemptions).toBe(0);
  stranger.close("Done");
});

test("a peer that holds what it is not to hold any more is told to give it up", async () => {
  bench = new ClusterBench();
  bench.join();
  await bench.serving(1);
  const late = bench.net.mesh();
  late.announce("peer");
  await bench.until(() => late.links.length === 1);
  const [link] = late.links;
  const reasons: unknown[] = [];
  link!.listen({
    onControl: (message) => {
      const { type, reason } = message as { readonly type: string; readonly reason?: string };
      if (type === "unload") reasons.push(reason);
    },
  });
  const load = { loadedBytes: 1, totalBytes: 1, downloadedBytes: 1 };
  for (const epoch of [bench.cluster.epoch, bench.cluster.epoch - 1]) {
    const failure = { reason: "No neighbour", isOutOfMemory: false, loadedBytes: 1 };
    for (
      const outcome of [
        { type: "ready", epoch, load, memoryBytes: 1 },
        { type: "load-failed", epoch, ...failure },
      ]
    ) {
      link!.sendControl(outcome);
      await bench.until(() => reasons.length > 0);
      expect(reasons.splice(0)).toEqual(["Its order is out of date"]);
    }
  }
  late.close("Done");
});

test("a peer that says resume without a pause stays what it is", async () => {
  bench = new ClusterBench();
  const { peer } = bench.join();
  await bench.serving(1);
  peer.resume();
  await quickClock.sleep(1_000);
  expect(bench.cluster.members[0]).toMatchObject({ state: "serving", shard: { endLayer: 3 } });
});
