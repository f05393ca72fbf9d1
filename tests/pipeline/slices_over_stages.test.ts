/** Tokens drawn a step before, copied blocks and moved states, by hash chains of every kind. */
import { afterEach, describe, expect, test } from "vitest";
import { type Batch, type BatchSlice, DEFAULT_SAMPLING, type TokenOutput } from "../../src/core.ts";
import { Pipeline } from "../../src/pipeline/pipeline.ts";
import { LayeredStage } from "../cluster/hash_chain_host.ts";
import { expectedOutput, hashChainStages } from "./hash_chain.ts";
import { CHAIN_LIMITS, MeshChain } from "./mesh_chain.ts";

interface Forwarding {
  forward(batch: Batch): Promise<readonly TokenOutput[]>;
}

const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

/** Each kind of pipeline for a model of `numStages` layers. */
const KINDS = {
  "in this process": (numStages: number, { hasState = false } = {}): Forwarding =>
    new Pipeline({
      stages: hashChainStages(numStages, { numBlocks: 64, hasState }),
      numLayers: numStages,
    }),
  "over links": (numStages: number, { hasState = false } = {}): Forwarding => {
    const chain = new MeshChain({ numStages, hasState });
    closing.push(() => chain.close());
    return chain.pipeline;
  },
  "as layers of one stage": (numStages: number, { hasState = false } = {}): Forwarding => {
    const shard = { startLayer: 0, endLayer: numStages, hasEmbedding: true, hasHead: true };
    const stage = new LayeredStage({ shard, limits: CHAIN_LIMITS }, { hiddenSize: 3, hasState });
    return new Pipeline({ stages: [stage], numLayers: numStages });
  },
} as const;
const ALL_KINDS = Object.entries(KINDS);

const SAMPLING = { ...DEFAULT_SAMPLING, temperature: 0.5, seed: 9, maxTokens: 12 };

function sampleOf(tokenIndex: number) {
  const { temperature, topP, topK, minP, seed } = SAMPLING;
  return { temperature, topP, topK, minP, seed, tokenIndex };
}

/** Tokens [start, start + tokenIds.length) of a sequence in blocks of its own from `firstBlock`. */
function sliceOf(
  sequenceId: number,
  { start, tokenIds, firstBlock = 8 * sequenceId, ...rest }: {
    readonly start: number;
    readonly tokenIds: readonly number[];
    readonly firstBlock?: number;
  } & Omit<Partial<BatchSlice>, "tokenIds">,
): BatchSlice {
  return {
    sequenceId,
    slot: sequenceId,
    startPosition: start,
    tokenIds: Uint32Array.from(tokenIds),
    blockTable: Uint32Array.from(
      { length: Math.ceil((start + tokenIds.length) / 16) },
      (_, i) => firstBlock + i,
    ),
    ...rest,
  };
}

let stepId = 0;
const batchOf = (...slices: readonly BatchSlice[]): Batch => ({ stepId: ++stepId, slices });
const drawn = (sequenceId: number, start: number, tokenIndex: number) =>
  sliceOf(sequenceId, {
    start,
    tokenIds: [0],
    takesDrawn: true,
    sample: sampleOf(tokenIndex),
  });

function expected(prompt: readonly number[], numStages: number, hasState = false): number[] {
  const options = { sampling: SAMPLING, numStages, maxModelLength: 128, hasState };
  return expectedOutput(prompt, options).tokenIds;
}

const PROMPT = Array.from({ length: 27 }, (_, i) => (i * 11) % 50);

describe.each(ALL_KINDS)("a single stage %s", (kind, open) => {
  const numLayers = kind === "as layers of one stage" ? 3 : 1;

  test("draws the same tokens when each step is sent before the last one's token is read", async () => {
    const pipeline = open(numLayers);
    const prompts = [PROMPT, [7], PROMPT.slice(3)];
    const starting = prompts.map((tokenIds, id) =>
      sliceOf(id, { start: 0, tokenIds, sample: sampleOf(0) })
    );
    const steps = [pipeline.forward(batchOf(...starting))];
    for (let i = 1; i < 12; i++) {
      const slices = prompts.map(({ length }, id) => drawn(id, length + i - 1, i));
      // In any order: the slot says whose token it is.
      steps.push(pipeline.forward(batchOf(...i % 2 === 0 ? slices : slices.reverse())));
    }
    const outputs = (await Promise.all(steps)).flat();
    for (const [id, prompt] of prompts.entries()) {
      const tokenIds = outputs.filter(({ sequenceId }) => sequenceId === id);
      expect(tokenIds.map(({ tokenId }) => tokenId)).toEqual(expected(prompt, numLayers));
    }
  });

  test("refuses a token that another sequence drew in the slot, or nobody", async () => {
    const pipeline = open(numLayers);
    const prompt = (id: number) => sliceOf(id, { start: 0, tokenIds: [id], sample: sampleOf(0) });
    await pipeline.forward(batchOf(prompt(1)));
    await expect(pipeline.forward(batchOf({ ...drawn(2, 1, 1), slot: 1 }))).rejects.toThrow("drew");
    await expect(pipeline.forward(batchOf(drawn(3, 1, 1)))).rejects.toThrow("drew");
    await pipeline.forward(batchOf({ ...prompt(4), slot: 1 }));
    await expect(pipeline.forward(batchOf(drawn(1, 1, 1)))).rejects.toThrow("drew");
    const [output] = await pipeline.forward(batchOf({ ...drawn(4, 1, 1), slot: 1 }));
    expect(output?.tokenId).toBe(expected([4], numLayers)[1]);
  });
});

describe.each(ALL_KINDS.slice(0, 2))("three stages %s", (_, open) => {
  test("take no token that another stage drew", async () => {
    const pipeline = open(3);
    await pipeline.forward(batchOf(sliceOf(1, { start: 0, tokenIds: [1], sample: sampleOf(0) })));
    await expect(pipeline.forward(batchOf(drawn(1, 1, 1)))).rejects.toThrow("nother stage");
  });
});

describe.each(ALL_KINDS)("copies of blocks %s", (_, open) => {
  test("are made before anything is written, in the order of the slices", async () => {
    const pipeline = open(3);
    const sample = sampleOf(0);
    await pipeline.forward(batchOf(sliceOf(0, { start: 0, tokenIds: PROMPT.slice(0, 20) })));
    // 1 goes on in a copy, 2 in a copy of the copy, and 0 overwrites what they began with.
    const own = (id: number, from: number) => ({
      blockTable: Uint32Array.of(0, 8 * id),
      blockCopy: { from, to: 8 * id },
    });
    const rest = PROMPT.slice(20);
    const outputs = await pipeline.forward(batchOf(
      sliceOf(0, { start: 16, tokenIds: [1, 2, 3, 4, 5], sample }),
      sliceOf(1, { start: 20, tokenIds: rest, sample, ...own(1, 1) }),
      sliceOf(2, { start: 20, tokenIds: [49, ...rest], sample, ...own(2, 8) }),
    ));
    const shared = PROMPT.slice(0, 20);
    const prompts = [[...PROMPT.slice(0, 16), 1, 2, 3, 4, 5], PROMPT, [...shared, 49, ...rest]];
    expect(outputs.map(({ tokenId }) => tokenId))
      .toEqual(prompts.map((prompt) => expected(prompt, 3)[0]));
  });
});

describe.each(ALL_KINDS)("states of linear attention %s", (_, open) => {
  const prompt = PROMPT.slice(0, 20);
  const tokenOf = ([output]: readonly TokenOutput[]) => output?.tokenId;
  const [wanted] = expected(prompt, 3, true);
  const start = (id: number, rest: Partial<BatchSlice> = {}) =>
    batchOf(sliceOf(id, { ...rest, start: 0, tokenIds: prompt.slice(0, 16) }));
  const end = (id: number, rest: Partial<BatchSlice> = {}) =>
    batchOf({
      ...sliceOf(id, { start: 16, tokenIds: prompt.slice(16), sample: sampleOf(0) }),
      ...rest,
    });

  test("go on from slice to slice, and a sequence that starts has an empty one", async () => {
    const pipeline = open(3, { hasState: true });
    expect(wanted).not.toBe(expected(prompt, 3)[0]);
    for (const id of [1, 2]) {
      await pipeline.forward(start(id, { slot: 1 }));
      expect(tokenOf(await pipeline.forward(end(id, { slot: 1 })))).toBe(wanted);
    }
  });

  test("are restored before a slice and saved after it", async () => {
    const pipeline = open(3, { hasState: true });
    await pipeline.forward(start(1, { stateMoves: { saveTo: 3 } }));
    expect(tokenOf(await pipeline.forward(end(1)))).toBe(wanted);
    // Another sequence with the same blocks, from the saved state; and one without it.
    const shared = { blockTable: Uint32Array.of(8, 40), slot: 2 };
    const restored = { ...shared, stateMoves: { restoreFrom: 3, saveTo: 0 } };
    expect(tokenOf(await pipeline.forward(end(2, restored)))).toBe(wanted);
    expect(tokenOf(await pipeline.forward(end(3, shared)))).not.toBe(wanted);
    const tooLate = { ...shared, stateMoves: { restoreFrom: 0 } };
    expect(tokenOf(await pipeline.forward(end(4, tooLate)))).not.toBe(wanted);
  });

  test("are none of a model that has only attention", async () => {
    await expect(open(3).forward(start(1, { stateMoves: { saveTo: 0 } }))).rejects.toThrow();
  });
});
