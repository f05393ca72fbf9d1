import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type PlacedStage,
  placeLayers,
  type Placement,
  type PlacementOptions,
} from "../../src/pipeline/placement.ts";
import { type PlacedPeer, type Span, StageCosts } from "../../src/pipeline/stage_costs.ts";
import type { LayerMemoryCosts, ModelCosts } from "../../src/stage/model_costs.ts";
import { kvLayers } from "./layer_memory.ts";

const MB = 1e6;

describe("placeLayers()", () => {
  it("gives a peer of twice the speed twice the layers", () => {
    const peers = [peer("slow", { readGBps: 50 }), peer("fast", { readGBps: 100 })];
    expect(layersOf(place(model({ numLayers: 12 }), peers))).toEqual({ fast: 8, slow: 4 });
  });

  it("gives a fast peer no more than its memory holds", () => {
    const peers = [
      peer("small", { readGBps: 1000, memoryBytes: 35 * MB }),
      peer("large", { readGBps: 10 }),
    ];
    expect(layersOf(place(model({ numLayers: 12 }), peers))).toEqual({ small: 3, large: 9 });
  });

  it("counts the embedding, KV and buffers of a stage as memory, and the head as time too", () => {
    const ends = model({
      numLayers: 4,
      embeddingBytes: 20 * MB,
      headBytes: 20 * MB,
      layerMemory: kvLayers(4, { f32: MB, f16: MB / 2 }),
      scratchBytes: 3 * MB,
    });
    const memoryBytes = 2 * 11 * MB + 3 * MB + 20 * MB;
    const peers = [peer("a", { memoryBytes }), peer("b", { memoryBytes })];
    const placement = place(ends, peers);
    expect(layersOf(placement)).toEqual({ a: 2, b: 2 });
    expect(placement).toMatchObject({ slowestMs: (2 * 10 + 20) * MB / (100 * 1e6) });
    const tight = [peer("a", { memoryBytes }), peer("b", { memoryBytes: memoryBytes - 1 })];
    expect(place(ends, tight).type).toBe("short");
  });

  it("leaves room for the KV pool: twice as much where K and V are f32", () => {
    const cached = model({ numLayers: 8, layerMemory: kvLayers(8, { f32: 2 * MB, f16: MB }) });
    const peers = [
      peer("f16", { memoryBytes: 60 * MB, usesF16Kv: true }),
      peer("f32", { memoryBytes: 90 * MB }),
    ];
    // Layers of 15 and 20 MB.
    expect(layersOf(place(cached, peers, { numBlocks: 5 }))).toEqual({ f16: 4, f32: 4 });
    const short = place(cached, peers, { numBlocks: 20 });
    // 30 MB and 50 MB: two and one of eight.
    expect(short).toEqual({ type: "short", missingBytes: 5 * 50 * MB });
  });

  it("takes the large embedding matrix once where a tied model's ends are on one peer", () => {
    const tied = { ...model({ numLayers: 2, embeddingBytes: 30 * MB, headBytes: 30 * MB }) };
    const peers = [peer("a", { memoryBytes: 50 * MB })];
    expect(place({ ...tied, isTied: true }, peers).type).toBe("placed");
    expect(place({ ...tied, isTied: false }, peers))
      .toEqual({ type: "short", missingBytes: 40 * MB });
  });

  it("puts the head where there is room for it", () => {
    const large = model({ numLayers: 3, headBytes: 80 * MB, embeddingBytes: 5 * MB });
    const peers = [
      peer("a", { memoryBytes: 25 * MB, readGBps: 900 }),
      peer("b", { memoryBytes: 100 * MB, readGBps: 10 }),
    ];
    const placement = place(large, peers);
    expect(stagesOf(placement).map(({ peerId }) => peerId)).toEqual(["a", "b"]);
    expect(stagesOf(placement).map(({ shard }) => shard)).toEqual([
      { startLayer: 0, endLayer: 2, hasEmbedding: true, hasHead: false },
      { startLayer: 2, endLayer: 3, hasEmbedding: false, hasHead: true },
    ]);
  });

  it("goes by what a token reads of a layer, and by all of it where memory is short", () => {
    // The first two layers have experts, of which a token reads a tenth.
    const layerBytes = [100 * MB, 100 * MB, 20 * MB, 20 * MB];
    const layerReadBytes = [10 * MB, 10 * MB, 20 * MB, 20 * MB];
    const sparse = { ...model({ numLayers: 4, layerBytes }), layerReadBytes };
    const roomy = [peer("a"), peer("b")];
    expect(layersOf(place(sparse, roomy))).toEqual({ a: 3, b: 1 });
    const { slowestMs } = placed(place(sparse, [peer("a", { readGBps: 1 })]));
    expect(slowestMs).toBeCloseTo(60, 6);
    const tight = [peer("a", { memoryBytes: 210 * MB }), peer("b", { memoryBytes: 210 * MB })];
    expect(layersOf(place(sparse, tight))).toEqual({ a: 2, b: 2 });
  });

  it("leaves out peers that would not make the slowest stage faster", () => {
    const peers = ["a", "b", "c"].map((id) => peer(id));
    expect(layersOf(place(model({ numLayers: 1 }), peers))).toEqual({ a: 1 });
    expect(layersOf(place(model({ numLayers: 2 }), peers))).toEqual({ a: 1, b: 1 });
    const withSlow = [peer("a"), peer("slow", { readGBps: 1 })];
    expect(layersOf(place(model({ numLayers: 3 }), withSlow))).toEqual({ a: 3 });
    const unmeasured = [peer("a"), peer("none", { readGBps: 0 }), peer("odd", { readGBps: NaN })];
    expect(layersOf(place(model({ numLayers: 8 }), unmeasured))).toEqual({ a: 8 });
  });

  it("says how much memory one more peer would have to lend", () => {
    const large = model({ numLayers: 10, scratchBytes: 2 * MB });
    expect(place(large, [])).toEqual({ type: "short", missingBytes: 102 * MB });
    const peers = [peer("a", { memoryBytes: 45 * MB }), peer("b", { memoryBytes: 31 * MB })];
    expect(place(large, peers)).toEqual({ type: "short", missingBytes: 42 * MB });
    const enough = place(large, [...peers, peer("c", { memoryBytes: 42 * MB })]);
    expect(layersOf(enough)).toEqual({ a: 4, b: 2, c: 4 });
  });

  it("refuses a model without layers, sizes that do not match and ids that repeat", () => {
    expect(() => place(model({ numLayers: 0 }), [peer("a")])).toThrow(
      "Cannot place 0 layers: a model has at least 1",
    );
    expect(() => place({ ...model({ numLayers: 3 }), layerBytes: [1] }, [peer("a")]))
      .toThrow("The model has 3 layers and sizes of 1: give one of each layer");
    expect(() => place(model({ numLayers: 1 }), [peer("a"), peer("a")]))
      .toThrow('Two peers have the id "a": ids must be unique');
  });
});

describe("placeLayers() after a placement", () => {
  const twelve = model({ numLayers: 12 });

  it("keeps what peers hold while it is at most a tenth slower than the best", () => {
    const peers = [peer("a", { readGBps: 100 }), peer("b", { readGBps: 109 })];
    const previous = stagesOf(place(twelve, [peer("a"), peer("b")]));
    expect(layersOf(place(twelve, peers, { previous }))).toEqual({ a: 6, b: 6 });
    expect(stagesOf(place(twelve, peers, { previous }))).toEqual(previous);
  });

  it("gives it up when a newcomer makes the mesh much faster", () => {
    const previous = stagesOf(place(twelve, [peer("a"), peer("b")]));
    const peers = ["a", "b", "c"].map((id) => peer(id));
    expect(layersOf(place(twelve, peers, { previous }))).toEqual({ a: 4, b: 4, c: 4 });
  });

  it("lets a spare peer take the layers of one that has gone, and no other reload", () => {
    const previous = stagesOf(place(twelve, ["a", "b", "c"].map((id) => peer(id))));
    const now = place(twelve, ["spare", "a", "c"].map((id) => peer(id)), { previous });
    expect(stagesOf(now)).toEqual(previous.map((stage) => ({
      ...stage,
      peerId: stage.peerId === "b" ? "spare" : stage.peerId,
    })));
  });

  it("starts afresh when it no longer fits, has gaps or names a peer twice", () => {
    const peers = [peer("a", { memoryBytes: 50 * MB }), peer("b")];
    const fresh = place(twelve, peers);
    expect(layersOf(fresh)).toEqual({ a: 5, b: 7 });
    const [first, second] = stagesOf(place(twelve, [peer("a"), peer("b")]));
    if (!first || !second) throw new Error("Two stages were expected");
    const gap = { ...second, shard: { ...second.shard, startLayer: 7 } };
    for (
      const previous of [[first, second], [first], [second], [first, gap], [], [
        { ...first, peerId: "b" },
        { ...second, peerId: "b" },
      ]]
    ) {
      expect(place(twelve, peers, { previous })).toEqual(fresh);
    }
  });
});

describe("placeLayers() for any model and peers", () => {
  it("covers every layer once, within every memory, or says what is missing", () => {
    fc.assert(
      fc.property(models(40), peerLists(14), (model, peers) => {
        const placement = place(model, peers);
        if (placement.type === "placed") return expectValid(placement, model, peers);
        const { missingBytes } = placement;
        const withPeer = (memoryBytes: number) =>
          place(model, [...peers, { id: "new", memoryBytes, readGBps: 1, usesF16Kv: false }]).type;
        expect(missingBytes).toBeGreaterThan(0);
        // Beyond 10 peers another is placed by rule of thumb where layers differ in size.
        if (peers.length >= 10) return;
        expect(withPeer(missingBytes)).toBe("placed");
        expect(withPeer(missingBytes - 1)).toBe("short");
      }),
      { numRuns: 150 },
    );
  });

  it("is as fast as the best of all placements, on as few peers", () => {
    fc.assert(
      fc.property(models(6), peerLists(4), (model, peers) => {
        const placement = place(model, peers);
        const best = searchAll(model, peers);
        expect(placement.type).toBe(best === null ? "short" : "placed");
        if (placement.type !== "placed" || best === null) return;
        expect(placement.slowestMs / best.slowestMs).toBeCloseTo(1, 8);
        expect(placement.stages.length).toBe(best.numStages);
      }),
      { numRuns: 400 },
    );
  });

  it("is as fast with many peers as the rule for few says, if all layers weigh the same", () => {
    const manyPeers = peerLists(9).filter((peers) => peers.length > 0);
    fc.assert(
      fc.property(models(24, { isUniform: true }), manyPeers, (model, peers) => {
        // Peers without room for a layer change nothing but the way of search.
        const crowd = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((index) =>
          peer(`tiny${index}`, { memoryBytes: 1 })
        );
        const few = place(model, peers);
        const many = place(model, [...peers, ...crowd]);
        expect(many.type).toBe(few.type);
        if (many.type !== "placed" || few.type !== "placed") return;
        expect(many.slowestMs / few.slowestMs).toBeCloseTo(1, 8);
        expect(many.stages.length).toBe(few.stages.length);
      }),
      { numRuns: 100 },
    );
  });

  it("is never slower with a peer more", () => {
    const uniform = models(24, { isUniform: true });
    for (const [models_, size] of [[models(16), 8], [uniform, 16]] as const) {
      fc.assert(
        fc.property(models_, peerLists(size), arbitraryPeer("new"), (model, peers, added) => {
          const before = place(model, peers);
          const after = place(model, [...peers, added]);
          if (before.type !== "placed") return;
          expect(after.type).toBe("placed");
          if (after.type === "placed") {
            expect(after.slowestMs).toBeLessThanOrEqual(before.slowestMs * (1 + 1e-8));
          }
        }),
        { numRuns: 60 },
      );
    }
  });

  it("does not depend on the order of the peers", () => {
    const shuffled = peerLists(12).chain((peers) =>
      fc.tuple(fc.constant(peers), fc.shuffledSubarray(peers, { minLength: peers.length }))
    );
    fc.assert(
      fc.property(models(20), shuffled, (model, [peers, others]) => {
        expect(place(model, others)).toEqual(place(model, peers));
      }),
      { numRuns: 60 },
    );
  });

  it("keeps its own answer", () => {
    fc.assert(
      fc.property(models(20), peerLists(8), (model, peers) => {
        const placement = place(model, peers);
        if (placement.type !== "placed") return;
        expect(place(model, peers, { previous: placement.stages })).toEqual(placement);
      }),
      { numRuns: 60 },
    );
  });
});

/** With a pool of one block unless said otherwise. */
function place(
  model: ModelCosts,
  peers: readonly PlacedPeer[],
  options: Partial<PlacementOptions> = {},
): Placement {
  return placeLayers(model, peers, { numBlocks: 1, ...options });
}

function model(
  { numLayers, ...rest }: Partial<ModelCosts> & { readonly numLayers: number },
): ModelCosts {
  return {
    numLayers,
    layerBytes: Array.from({ length: numLayers }, () => 10 * MB),
    layerReadBytes: rest.layerBytes ?? Array.from({ length: numLayers }, () => 10 * MB),
    layerMemory: kvLayers(numLayers, { f32: 0, f16: 0 }),
    scratchBytes: 0,
    lastScratchBytes: rest.scratchBytes ?? 0,
    largestBuffer: LOGITS,
    embeddingBytes: 0,
    headBytes: 0,
    isTied: false,
    ...rest,
  };
}

const LOGITS = { what: "logits", sizeBytes: 1, advice: "use fewer sequences" };

function peer(id: string, rest: Partial<PlacedPeer> = {}): PlacedPeer {
  return { id, memoryBytes: 1000 * MB, readGBps: 100, usesF16Kv: false, ...rest };
}

function stagesOf(placement: Placement): readonly PlacedStage[] {
  return placed(placement).stages;
}

function placed(placement: Placement) {
  if (placement.type === "placed") return placement;
  throw new Error(`No placement: ${placement.missingBytes} bytes are missing`);
}

function layersOf(placement: Placement): Record<string, number> {
  return Object.fromEntries(
    stagesOf(placement).map(({ peerId, shard }) => [peerId, shard.endLayer - shard.startLayer]),
  );
}

function expectValid(
  placement: Placement,
  model: ModelCosts,
  peers: readonly PlacedPeer[],
): void {
  const stages = stagesOf(placement);
  const costs = new StageCosts(model, { peers, numBlocks: 1 });
  let nextLayer = 0;
  for (const { peerId, shard } of stages) {
    const { startLayer, endLayer, hasEmbedding, hasHead } = shard;
    expect(startLayer).toBe(nextLayer);
    expect(endLayer).toBeGreaterThan(startLayer);
    expect([hasEmbedding, hasHead]).toEqual([startLayer === 0, endLayer === model.numLayers]);
    const { memoryBytes, usesF16Kv } = peers.find(({ id }) => id === peerId)!;
    expect(costs.memoryBytes({ ...shard, usesF16Kv })).toBeLessThanOrEqual(memoryBytes);
    nextLayer = endLayer;
  }
  expect(nextLayer).toBe(model.numLayers);
  expect(new Set(stages.map(({ peerId }) => peerId)).size).toBe(stages.length);
}

/** Tries every cut for every order of every subset of peers. */
function searchAll(
  model: ModelCosts,
  peers: readonly PlacedPeer[],
): { slowestMs: number; numStages: number } | null {
  const costs = new StageCosts(model, { peers, numBlocks: 1 });
  let best: { slowestMs: number; numStages: number } | null = null;
  const search = (spans: readonly Span[], slowestMs: number): void => {
    const startLayer = spans.at(-1)?.endLayer ?? 0;
    if (startLayer === model.numLayers) {
      const numStages = spans.length;
      if (
        best === null || slowestMs < best.slowestMs * (1 - 1e-9) ||
        slowestMs < best.slowestMs * (1 + 1e-9) && numStages < best.numStages
      ) best = { slowestMs, numStages };
      return;
    }
    for (let peer = 0; peer < peers.length; peer++) {
      if (spans.some((span) => span.peer === peer)) continue;
      for (let endLayer = startLayer + 1; endLayer <= model.numLayers; endLayer++) {
        const span = { peer, startLayer, endLayer };
        if (!costs.fits(span, Infinity)) break;
        search([...spans, span], Math.max(slowestMs, costs.timeMs(span)));
      }
    }
  };
  search([], 0);
  return best;
}

function models(
  maxLayers: number,
  { isUniform = false }: { isUniform?: boolean } = {},
): fc.Arbitrary<ModelCosts> {
  const bytes = fc.integer({ min: 1, max: 100 });
  const layers = { minLength: 1, maxLength: maxLayers };
  return fc.record({
    layerBytes: isUniform
      ? fc.tuple(bytes, fc.array(fc.constant(0), layers)).map(([size, list]) =>
        list.map(() => size)
      )
      : fc.array(bytes, layers),
    memory: fc.array(memoryCosts(), { minLength: maxLayers, maxLength: maxLayers }),
    readShares: fc.array(fc.double({ min: 0.1, max: 1, noNaN: true }), {
      minLength: maxLayers,
      maxLength: maxLayers,
    }),
    scratchBytes: fc.nat(50),
    lastScratchBytes: fc.nat(50),
    embeddingBytes: fc.nat(300),
    headBytes: fc.nat(300),
    isTied: fc.boolean(),
  }).map(({ memory, readShares, ...model }) => {
    const numLayers = model.layerBytes.length;
    // Alike, or one kind and another.
    const layerMemory = model.layerBytes.map((_, layer) => memory[isUniform ? 0 : layer]!);
    const layerReadBytes = model.layerBytes.map((bytes, layer) =>
      bytes * readShares[isUniform ? 0 : layer]!
    );
    return { ...model, numLayers, layerReadBytes, layerMemory, largestBuffer: LOGITS };
  });
}

/** A layer that keeps blocks, states, or nothing. */
function memoryCosts(): fc.Arbitrary<LayerMemoryCosts> {
  return fc.record({ bytes: fc.nat(10), stateBytes: fc.nat(20) }).map(({ bytes, stateBytes }) => ({
    blockBytes: { f32: 2 * bytes, f16: bytes },
    largestBlockBytes: { f32: 2 * bytes, f16: bytes },
    stateBytes,
  }));
}

function arbitraryPeer(id: string): fc.Arbitrary<PlacedPeer> {
  return fc.record({
    id: fc.constant(id),
    memoryBytes: fc.nat(900),
    readGBps: fc.integer({ min: 1, max: 8 }),
    usesF16Kv: fc.boolean(),
  });
}

function peerLists(maxLength: number): fc.Arbitrary<PlacedPeer[]> {
  return fc.nat(maxLength).chain((length) =>
    fc.tuple(...Array.from({ length }, (_, index) => arbitraryPeer(`peer${index}`)))
  );
}
