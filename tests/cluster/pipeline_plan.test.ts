import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { roomAfterRefusal } from "../../src/cluster/memory_refusal.ts";
import {
  type Candidate,
  describeShortage,
  type PipelinePlan,
  planPipeline,
  type Shortage,
} from "../../src/cluster/pipeline_plan.ts";
import { fixedPool, type PoolBounds } from "../../src/pipeline/kv_pool.ts";
import { placeEvenly } from "../../src/pipeline/place_evenly.ts";
import { placeLayers } from "../../src/pipeline/placement.ts";
import { StageCosts } from "../../src/pipeline/stage_costs.ts";
import type { ModelCosts } from "../../src/stage/model_costs.ts";
import { kvLayers } from "../pipeline/layer_memory.ts";

const MB = 1e6;

/** Ten layers of 100 MB; a block takes 1 MB in each as f32. */
const COSTS: ModelCosts = {
  numLayers: 10,
  layerBytes: Array(10).fill(100 * MB),
  layerMemory: kvLayers(10, { f32: MB, f16: MB / 2 }),
  layerReadBytes: Array(10).fill(100 * MB),
  ...{ lastScratchBytes: 0, scratchBytes: 0, embeddingBytes: 0, headBytes: 0, isTied: false },
  largestBuffer: { what: "logits", sizeBytes: MB, advice: "use fewer sequences" },
};

const POOL: PoolBounds = {
  ...{ leastBlocks: 4, wantedBlocks: 32, mostBlocks: 500, mostSoftwareBlocks: 64 },
  advice: null,
};

const NOTHING: PipelinePlan = { stages: [], numBlocks: 0 };

function candidate(id: string, memoryBytes: number, rest: Partial<Candidate> = {}): Candidate {
  return {
    ...{ id, name: id, memoryBytes, poolBytes: memoryBytes, readGBps: 100 },
    ...{ usesF16Kv: false, isSoftware: false, maxBindingBytes: 1e12 },
    ...rest,
  };
}

function plan(
  candidates: readonly Candidate[],
  { pool = POOL, previous = NOTHING, place = placeLayers } = {},
): PipelinePlan | Shortage {
  return planPipeline(candidates, { place, costs: COSTS, pool, previous });
}

function planned(...args: Parameters<typeof plan>): PipelinePlan {
  const made = plan(...args);
  if ("stages" in made) return made;
  throw new Error(`${made.missingBytes} bytes are missing`);
}

function layersOf({ stages }: PipelinePlan): Record<string, number> {
  return Object.fromEntries(
    stages.map(({ peerId, shard }) => [peerId, shard.endLayer - shard.startLayer]),
  );
}

describe("planPipeline()", () => {
  test("gives the pool what weights leave, on the stage with the least room", () => {
    const large = candidate("large", 5_000 * MB, { readGBps: 100 });
    const small = candidate("small", 800 * MB, { readGBps: 100 });
    const made = planned([large, small]);
    expect(layersOf(made)).toEqual({ large: 5, small: 5 });
    expect(made.numBlocks).toBe(60);
  });

  test("leaves a share of lent memory alone, but not where the pool would be too small", () => {
    const tight = candidate("tight", 1_400 * MB, { poolBytes: 1_260 * MB });
    expect(planned([tight]).numBlocks).toBe(32);
    const roomy = candidate("roomy", 2_000 * MB, { poolBytes: 1_800 * MB });
    expect(planned([roomy]).numBlocks).toBe(80);
  });

  test("a tiny peer lowers the pool where the model fits no other way", () => {
    const peers = [candidate("a", 950 * MB), candidate("b", 220 * MB)];
    const made = planned(peers);
    // With 32 blocks a layer takes 132 MB: 7 and 1. With 16, 116 MB: 8 and 1; with 8, 8 and 2.
    expect(layersOf(made)).toEqual({ a: 8, b: 2 });
    expect(made.numBlocks).toBe(10);
  });

  test("too little for the least pool is said in bytes of that pool", () => {
    expect(plan([candidate("a", 830 * MB)])).toEqual({
      ...{ missingBytes: 3 * 104 * MB, narrow: null, unable: null },
    });
    expect(planned([candidate("a", 830 * MB), candidate("b", 3 * 104 * MB)]).numBlocks).toBe(4);
  });

  test("a given size is obeyed, whatever else would fit", () => {
    const large = candidate("large", 5_000 * MB);
    expect(planned([large], { pool: fixedPool(7) }).numBlocks).toBe(7);
    const software = candidate("software", 5_000 * MB, { isSoftware: true });
    expect(planned([software], { pool: fixedPool(100) }).numBlocks).toBe(100);
    expect(planned([software]).numBlocks).toBe(64);
    const tooMuch = plan([large], { pool: fixedPool(1_000, "use less than 16,000 tokens") });
    expect(tooMuch).toEqual({
      ...{ missingBytes: 6 * 1_100 * MB, narrow: null, unable: null },
    });
    if ("stages" in tooMuch) throw new Error("That does not fit");
    expect(describeShortage(tooMuch, { advice: "use less than 16,000 tokens" })).toBe(
      "The peers lend too little memory: 6.60 GB more are needed, or use less than 16,000 tokens",
    );
  });

  test("ends where a binding does; what was given beyond it is refused with the limit", () => {
    const narrow = candidate("narrow", 5_000 * MB, { maxBindingBytes: 20 * MB });
    expect(planned([narrow]).numBlocks).toBe(40);
    const made = plan([narrow], { pool: fixedPool(41) });
    expect(made).toEqual({
      missingBytes: 10 * 141 * MB,
      narrow: { name: "narrow", numBlocks: 40 },
      unable: null,
    });
    if ("stages" in made) throw new Error("That does not fit");
    expect(describeShortage(made, { advice: "use less than 656 tokens" })).toBe(
      'A buffer of "narrow" binds 640 tokens of KV cache at most: use less than 656 tokens',
    );
    const wide = candidate("wide", 5_000 * MB, { readGBps: 1 });
    expect(layersOf(planned([narrow, wide], { pool: fixedPool(41) }))).toEqual({ wide: 10 });
  });

  test("takes peers that bind every buffer of a step, or says which it is and how to shrink it", () => {
    const unable = candidate("unable", 5_000 * MB, { maxBindingBytes: 1_000_000 - 1 });
    const made = plan([unable]);
    if ("stages" in made) throw new Error("That does not fit");
    expect(describeShortage(made, { advice: "use less than 656 tokens" })).toBe(
      'A buffer of "unable" binds 976.56 KiB at most, and logits take 976.56 KiB: ' +
        "use fewer sequences",
    );
    const wide = candidate("wide", 5_000 * MB, { readGBps: 1 });
    expect(layersOf(planned([unable, wide]))).toEqual({ wide: 10 });
  });

  test("is not for ways of placing that ask nobody for room", () => {
    const made = planned([candidate("a", 1), candidate("b", 1)], { place: placeEvenly(2) });
    expect(made.numBlocks).toBe(32);
    expect(layersOf(made)).toEqual({ a: 5, b: 5 });
  });
});

describe("planPipeline() after a plan", () => {
  const peers = [candidate("a", 1_000 * MB), candidate("b", 1_000 * MB)];

  test("keeps a pool of at least half of what could be, so that stages need not load again", () => {
    const made = planned(peers);
    expect(made.numBlocks).toBe(100);
    for (const [numBlocks, kept] of [[50, 50], [100, 100], [49, 100], [101, 100]] as const) {
      const previous = { ...made, numBlocks };
      expect(planned(peers, { previous }).numBlocks).toBe(kept);
    }
  });

  test("takes what it can where every stage is new", () => {
    const previous = { ...planned(peers), numBlocks: 60 };
    const others = [candidate("c", 1_000 * MB), candidate("d", 1_000 * MB)];
    expect(planned(others, { previous }).numBlocks).toBe(100);
    const oneNew = [peers[0]!, candidate("d", 1_000 * MB)];
    expect(planned(oneNew, { previous }).numBlocks).toBe(60);
  });
});

describe("roomAfterRefusal()", () => {
  const shard = { startLayer: 0, endLayer: 4, hasEmbedding: true, hasHead: false };
  const refused = { costs: COSTS, shard, usesF16Kv: false, leastBlocks: 4, loadedBytes: 0 };

  test("lets the next pool be half as large, down to the least, then the stage a fifth smaller", () => {
    expect(roomAfterRefusal({ ...refused, numBlocks: 100 })).toBe(400 * MB + 50 * 4 * MB);
    expect(roomAfterRefusal({ ...refused, numBlocks: 100, usesF16Kv: true })).toBe(500 * MB);
    expect(roomAfterRefusal({ ...refused, numBlocks: 5 })).toBe(416 * MB);
    expect(roomAfterRefusal({ ...refused, numBlocks: 4 })).toBe((416 - 83.2) * MB);
    const oneLayer = { ...shard, endLayer: 1 };
    expect(roomAfterRefusal({ ...refused, shard: oneLayer, numBlocks: 4 })).toBe(0.8 * 104 * MB);
  });

  test("does not leave out the smallest stage there is", () => {
    const costs = { ...COSTS, scratchBytes: 1_000 * MB };
    const two = { ...shard, endLayer: 2 };
    expect(roomAfterRefusal({ ...refused, costs, shard: two, numBlocks: 4 })).toBe(1_104 * MB);
  });

  test("believes what was shown to fit, once the weights had begun to arrive", () => {
    const loaded = { ...refused, numBlocks: 100, loadedBytes: 150 * MB };
    expect(roomAfterRefusal(loaded)).toBe(400 * MB + 150 * MB);
    const nearly = { ...loaded, loadedBytes: 399 * MB };
    expect(roomAfterRefusal(nearly)).toBe(0.95 * 800 * MB);
    expect(roomAfterRefusal({ ...loaded, loadedBytes: 1e15 })).toBe(0.95 * 800 * MB);
  });

  test("ends with a plan that fits, or with none, after few refusals", () => {
    const device = fc.record({
      lentBytes: fc.integer({ min: 100, max: 3_000 }),
      /** Of what it lends. */
      realShare: fc.double({ min: 0.05, max: 1, noNaN: true }),
      usesF16Kv: fc.boolean(),
      readGBps: fc.integer({ min: 1, max: 100 }),
      tellsWhatFitted: fc.boolean(),
    });
    fc.assert(fc.property(fc.array(device, { minLength: 1, maxLength: 4 }), (devices) => {
      const rooms = devices.map(({ lentBytes }) => lentBytes * MB);
      let previous = NOTHING;
      for (let numRefusals = 0; numRefusals < 60; numRefusals++) {
        const made = plan(
          devices.map(({ lentBytes, usesF16Kv, readGBps }, i) =>
            candidate(`${i}`, rooms[i]!, {
              ...{ usesF16Kv, readGBps },
              poolBytes: Math.min(rooms[i]!, 0.9 * lentBytes * MB),
            })
          ),
          { previous },
        );
        if (!("stages" in made)) return;
        previous = made;
        const { stages, numBlocks } = made;
        const costs = new StageCosts(COSTS, { peers: [], numBlocks });
        const full = stages.find(({ peerId, shard }) => {
          const { lentBytes, realShare, usesF16Kv } = devices[Number(peerId)]!;
          return costs.memoryBytes({ ...shard, usesF16Kv }) > lentBytes * realShare * MB;
        });
        if (full === undefined) return;
        const i = Number(full.peerId);
        const { lentBytes, realShare, usesF16Kv, tellsWhatFitted } = devices[i]!;
        const { shard } = full;
        const beforeWeights = costs.memoryBytes({ ...shard, usesF16Kv }) - costs.weightBytes(shard);
        const loadedBytes = tellsWhatFitted
          ? Math.max(0, Math.floor(lentBytes * realShare * MB - beforeWeights))
          : 0;
        const room = roomAfterRefusal({
          ...{ costs: COSTS, shard, usesF16Kv, numBlocks, loadedBytes },
          leastBlocks: POOL.leastBlocks,
        });
        expect(room).toBeLessThan(rooms[i]!);
        rooms[i] = room;
      }
      throw new Error("There is no end to it");
    }));
  });
});
