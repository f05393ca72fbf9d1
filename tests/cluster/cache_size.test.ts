/** The KV cache's size follows the devices; peers without a GPU, but with a memory that ends. */
import { afterEach, expect, test } from "vitest";
import { GpuMemoryError } from "../../src/gpu/context.ts";
import { fixedPool, type PoolBounds } from "../../src/pipeline/kv_pool.ts";
import { ClusterBench } from "./bench.ts";
import { quickClock } from "./quick_clock.ts";

let bench: ClusterBench;
afterEach(() => bench.close());

const POOL: PoolBounds = {
  ...{ leastBlocks: 4, wantedBlocks: 16, mostBlocks: 400, mostSoftwareBlocks: 400 },
  advice: null,
};
const WHOLE = { startLayer: 0, endLayer: 3 };

type StageSize = Parameters<ClusterBench["stageBytes"]>;

/** Lends this, but for the margin that is left to what nobody counts. */
function lends(...size: StageSize): number {
  return Math.ceil(bench.stageBytes(...size) / 0.9);
}

/** A peer that lends what a stage of `lent` takes, on a device that has what one of `real` takes. */
function joinFull({ lent, real, tellsWhatFitted = false }: {
  readonly lent: StageSize;
  readonly real: StageSize;
  /** It goes as far as the weights. */
  readonly tellsWhatFitted?: boolean;
}) {
  const realBytes = bench.stageBytes(...real);
  let numRefusals = 0;
  const peer = bench.join({
    memoryBytes: lends(...lent),
    onLoad: ({ shard, limits }, { onProgress }) => {
      const missingBytes = bench.stageBytes(shard, limits.numBlocks) - realBytes;
      if (missingBytes <= 0) return;
      numRefusals++;
      const { layerBytes, embeddingBytes, headBytes } = bench.costs;
      const totalBytes = layerBytes[0]! * 3 + embeddingBytes + headBytes;
      const loadedBytes = totalBytes - missingBytes;
      if (tellsWhatFitted && loadedBytes > 0) {
        onProgress?.({ loadedBytes, totalBytes, downloadedBytes: 0 });
      }
      throw new GpuMemoryError('Cannot allocate 1 GiB of GPU memory for "keys of layer 0"');
    },
  });
  return { ...peer, refusals: () => numRefusals };
}

async function expectExact(): Promise<void> {
  const prompts = [[1, 2, 3], Array.from({ length: 90 }, (_, i) => i % 50), [9], [4, 4]];
  const outputs = await Promise.all(prompts.map((prompt) => bench.generate(prompt, 30)));
  for (const { tokenIds, expected } of outputs) expect(tokenIds).toEqual(expected);
  bench.engine.checkIntegrity();
}

function expectBlocks(numBlocks: number): void {
  expect(bench.cluster.numBlocks).toBe(numBlocks);
  expect(bench.engine.stats()).toMatchObject({ numBlocks, numFreeBlocks: numBlocks });
}

test("stages of unlike peers hold as much as the one with the least room, and the engine knows", async () => {
  bench = new ClusterBench({ pool: POOL, minPeers: 2 });
  const oneLayer = { startLayer: 0, endLayer: 1 };
  const small = bench.join({ memoryBytes: lends(oneLayer, 100) });
  const large = bench.join({ readGBps: 2 });
  await bench.serving(2);
  expect(small.host.stage?.shard).toMatchObject(oneLayer);
  expectBlocks(100);
  for (const { host } of [small, large]) expect(host.loads.at(-1)?.limits.numBlocks).toBe(100);
  expect(bench.notices).toContain("2 stages, KV cache of 1,600 tokens");
  await expectExact();
});

test("the cache ends where more would be of no use", async () => {
  bench = new ClusterBench({ pool: POOL });
  bench.join();
  await bench.serving(1);
  expectBlocks(400);
});

test("a binding that is too small for that ends it earlier", async () => {
  bench = new ClusterBench({ pool: POOL, minPeers: 2 });
  bench.join();
  bench.join({ maxBindingBytes: 70 * bench.costs.layerMemory[0]!.largestBlockBytes.f32 });
  await bench.serving(2);
  expectBlocks(70);
  await expectExact();
});

test("a tiny peer that cannot be done without lowers the cache, and sequences with it", async () => {
  bench = new ClusterBench({ pool: POOL, minPeers: 2 });
  // Two layers with the least cache, and one with a little more than that.
  bench.join({ memoryBytes: bench.stageBytes({ startLayer: 0, endLayer: 2 }, 4) });
  bench.join({ memoryBytes: bench.stageBytes({ startLayer: 2, endLayer: 3 }, 9) });
  await bench.serving(2);
  expectBlocks(4);
  const tooLong = Array.from({ length: 64 }, () => 1);
  expect(() => bench.engine.generate(tooLong, { ...bench.sampling, maxTokens: 1 })).toThrow(
    "The prompt has 64 tokens, but the KV pool of 4 blocks holds 64 including at least one of " +
      "output: shorten it or enlarge the pool",
  );
  const { tokenIds, expected } = await bench.generate([1, 2, 3], 20);
  expect(tokenIds).toEqual(expected);
});

test("a device that has less than it lends gets a smaller cache, until that fits", async () => {
  bench = new ClusterBench({ pool: POOL });
  const { host, refusals } = joinFull({ lent: [WHOLE, 300], real: [WHOLE, 80] });
  await bench.serving(1);
  expect(host.stage?.shard).toMatchObject(WHOLE);
  expectBlocks(75);
  expect(refusals()).toBe(2);
  expect(bench.notices.filter((text) => text.includes("asks less"))).toEqual(
    [300, 150].map((numBlocks) =>
      '"Peer 1" cannot hold its layers: Cannot allocate 1 GiB of GPU memory for "keys of layer 0". ' +
      `The KV cache was to hold ${
        (numBlocks * 16).toLocaleString("en-US")
      } tokens: the next plan ` +
      "asks less of this device"
    ),
  );
  await expectExact();
});

test("what was loaded by then says how much fits: one try more is enough", async () => {
  bench = new ClusterBench({ pool: POOL });
  const { refusals } = joinFull({
    ...{ lent: [WHOLE, 110], real: [WHOLE, 90] },
    tellsWhatFitted: true,
  });
  await bench.serving(1);
  expect(refusals()).toBe(1);
  expectBlocks(90);
  await expectExact();
});

test("with the least cache, the device gets fewer layers, and others the rest", async () => {
  bench = new ClusterBench({ pool: fixedPool(16), minPeers: 2 });
  // It is the faster one, so that it was to hold all of them.
  const { host, refusals } = joinFull({
    lent: [WHOLE, 16],
    real: [{ startLayer: 2, endLayer: 3 }, 16],
  });
  const other = bench.join({ readGBps: 0.3 });
  await bench.serving(2);
  expect(refusals()).toBeGreaterThan(0);
  expect(host.stage?.shard).toMatchObject({ startLayer: 2, endLayer: 3 });
  expect(other.host.stage?.shard).toMatchObject({ startLayer: 0, endLayer: 2 });
  expectBlocks(16);
  await expectExact();
});

test("a device that holds nothing is left alone in the end: no loop, and the note says what is missing", async () => {
  bench = new ClusterBench({ pool: POOL });
  const { refusals } = joinFull({ lent: [WHOLE, 400], real: [WHOLE, -1_000] });
  await bench.until(() => bench.cluster.condition.missingBytes > 0);
  const { numStarts } = bench.cluster;
  expect(refusals()).toBe(numStarts);
  expect(numStarts).toBeLessThan(15);
  expect(bench.cluster.condition.note).toMatch(/^The peers lend too little memory: .* GB more/);
  await quickClock.sleep(70_000);
  expect(bench.cluster.numStarts).toBe(numStarts);
  bench.join();
  await bench.serving(1);
  await expectExact();
});

test("a size that was given is refused with the fix where it does not fit", async () => {
  const pool = fixedPool(1_000, "use less than 16,000 tokens of KV cache (--kv-tokens)");
  bench = new ClusterBench({ pool });
  bench.join({ memoryBytes: bench.stageBytes(WHOLE, 900) });
  await bench.until(() => bench.cluster.condition.missingBytes > 0);
  expect(bench.cluster.condition.note).toMatch(
    /^The peers lend too little memory: .* GB more are needed, or use less than 16,000 tokens of KV /,
  );
  bench.join({ memoryBytes: bench.stageBytes(WHOLE, 1_000) });
  await bench.until(() => bench.cluster.numStages > 0);
  expectBlocks(1_000);
});

test("and where a device's bindings are too small for it, with what they hold", async () => {
  bench = new ClusterBench({ pool: fixedPool(1_000, "use less than 16,000 tokens") });
  bench.join({ maxBindingBytes: 70 * bench.costs.layerMemory[0]!.largestBlockBytes.f32 });
  await bench.until(() => bench.cluster.condition.missingBytes > 0);
  expect(bench.cluster.condition.note).toBe(
    'A buffer of "Peer 1" binds 1,120 tokens of KV cache at most: use less than 16,000 tokens',
  );
});

test("a stage that need not change is not loaded again for a slightly larger cache", async () => {
  bench = new ClusterBench({ pool: POOL, minPeers: 2 });
  const front = { startLayer: 0, endLayer: 2 };
  const first = bench.join({ memoryBytes: lends(front, 100) });
  const second = bench.join({ memoryBytes: lends(front, 110) });
  await bench.serving(2);
  const { numBlocks } = bench.cluster;
  const kept = second.host.stage;
  const third = bench.join({ memoryBytes: lends(front, 120) });
  await third.peer.pause();
  await bench.until(() => bench.cluster.members.some(({ state }) => state === "paused"));
  third.peer.resume();
  await first.peer.leave();
  await bench.until(() => third.host.stage !== null);
  await bench.serving(2);
  expect(second.host.stage).toBe(kept);
  expectBlocks(numBlocks);
  await expectExact();
});
