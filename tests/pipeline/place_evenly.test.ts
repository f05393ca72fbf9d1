import { expect, test } from "vitest";
import { placeEvenly } from "../../src/pipeline/place_evenly.ts";
import { kvLayers } from "./layer_memory.ts";

const peer = (id: string, readGBps = 1) => ({ id, readGBps, memoryBytes: 1, usesF16Kv: false });

function model(numLayers: number) {
  return {
    ...{ numLayers, layerBytes: Array(numLayers).fill(100), isTied: false },
    layerReadBytes: Array(numLayers).fill(100),
    ...{ scratchBytes: 0, lastScratchBytes: 0, embeddingBytes: 100, headBytes: 100 },
    largestBuffer: { what: "logits", sizeBytes: 1, advice: "use fewer sequences" },
    layerMemory: kvLayers(numLayers, { f32: 0, f16: 0 }),
  };
}

function shards(numStages: number, { numLayers, peerIds }: {
  readonly numLayers: number;
  readonly peerIds: readonly string[];
}) {
  const placement = placeEvenly(numStages)(model(numLayers), peerIds.map((id) => peer(id)), {
    numBlocks: 1,
  });
  if (placement.type !== "placed") throw new Error("Nothing was placed");
  return placement.stages.map(({ peerId, shard }) => [
    peerId,
    ...[shard.startLayer, shard.endLayer, shard.hasEmbedding, shard.hasHead],
  ]);
}

test("every peer gets as many layers as the others, in the order of their ids", () => {
  expect(shards(3, { numLayers: 7, peerIds: ["c", "a", "b"] })).toEqual([
    ["a", 0, 2, true, false],
    ["b", 2, 4, false, false],
    ["c", 4, 7, false, true],
  ]);
});

test("there are no more stages than layers, peers, or wanted ones", () => {
  expect(shards(3, { numLayers: 2, peerIds: ["a", "b", "c"] })).toHaveLength(2);
  expect(shards(3, { numLayers: 9, peerIds: ["a", "b"] })).toHaveLength(2);
  expect(shards(1, { numLayers: 9, peerIds: ["b", "a"] })).toEqual([["a", 0, 9, true, true]]);
});

test("speed and memory play no role", () => {
  const fast = placeEvenly(2)(model(4), [peer("a", 1000), peer("b", 0.1)], { numBlocks: 1 });
  expect(fast).toMatchObject({ stages: [{ shard: { endLayer: 2 } }, { shard: { endLayer: 4 } }] });
});
