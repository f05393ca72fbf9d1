/** What a stage with linear attention keeps between batches, on a real device. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Batch, type BatchSlice, BLOCK_SIZE, DEFAULT_SAMPLING } from "../../src/core.ts";
import { openGoldenCase } from "../../src/golden.ts";
import { defaultTuning } from "../../src/kernels/tuning.ts";
import { loadLocalPipeline } from "../../src/local_pipeline.ts";
import type { Pipeline } from "../../src/pipeline/pipeline.ts";
import { FileStore } from "../../src/platform/file_store.ts";
import { openTestGpu } from "../kernels/gpu.ts";

const NAME = "qwen3-next";
const { context } = await openTestGpu();
const { source, inputs } = await openGoldenCase(new FileStore(`tests/golden/${NAME}`), NAME);
const TEXT = inputs[1]!.inputIds;
const OTHER = TEXT.toReversed();
const LIMITS = {
  numBlocks: 12,
  maxModelLength: 64,
  maxBatchTokens: 96,
  maxSequences: 3,
  numSavedStates: 2,
  maxSamples: 96,
};

const pipelines: Pipeline[] = [];
afterAll(() => pipelines.forEach((pipeline) => pipeline.close()));

async function open(numStages: number, limits = LIMITS): Promise<Pipeline> {
  const tuning = defaultTuning(context.capabilities, { isDeterministic: true, useF16Kv: false });
  const { pipeline } = await loadLocalPipeline({
    ...{ context, tuning, source, numStages, limits: () => limits },
  });
  pipelines.push(pipeline);
  return pipeline;
}

/** Tokens [start, end) of a text, in slot and blocks `slot`. */
function sliceOf(
  text: readonly number[],
  { slot, start = 0, end, ...rest }: {
    readonly slot: number;
    readonly start?: number;
    readonly end: number;
  } & Pick<BatchSlice, "stateMoves">,
): BatchSlice {
  return {
    ...{ sequenceId: slot, slot, startPosition: start, ...rest },
    tokenIds: Uint32Array.from(text.slice(start, end)),
    blockTable: Uint32Array.from(
      { length: Math.ceil(end / BLOCK_SIZE) },
      (_, i) => 4 * slot + 3 - i,
    ),
    sample: { ...DEFAULT_SAMPLING, tokenIndex: 0, wantsLogits: true },
  };
}

let numBatches = 0;
/** Logits of each slice, as bits. */
async function run(pipeline: Pipeline, ...slices: readonly BatchSlice[]): Promise<Uint32Array[]> {
  const batch: Batch = { stepId: ++numBatches, slices };
  const outputs = await pipeline.forward(batch);
  return outputs.map(({ logits }) => new Uint32Array(logits!.slice().buffer));
}

const tail = (bits: Uint32Array, from: number) => bits.slice(from * 256);

describe.each([1, 4])("on %i stages", (numStages) => {
  let pipeline: Pipeline;
  let whole: Uint32Array;
  let other: Uint32Array;
  beforeAll(async () => {
    pipeline = await open(numStages);
    [whole] = await run(pipeline, sliceOf(TEXT, { slot: 0, end: 45 })) as [Uint32Array];
    [other] = await run(pipeline, sliceOf(OTHER, { slot: 0, end: 45 })) as [Uint32Array];
    expect(whole).not.toEqual(other);
  });

  test("a slot starts from nothing at position 0, whoever had it before", async () => {
    expect(await run(pipeline, sliceOf(TEXT, { slot: 0, end: 45 }))).toEqual([whole]);
  });

  test("sequences at different positions share batches and give the bits of single runs", async () => {
    const first = await run(
      pipeline,
      sliceOf(TEXT, { slot: 2, end: 9 }),
      sliceOf(OTHER, { slot: 0, end: 1 }),
    );
    const second = await run(
      pipeline,
      sliceOf(OTHER, { slot: 0, start: 1, end: 30 }),
      sliceOf(TEXT, { slot: 1, end: 45 }),
      sliceOf(TEXT, { slot: 2, start: 9, end: 10 }),
    );
    const third = await run(
      pipeline,
      sliceOf(TEXT, { slot: 2, start: 10, end: 45 }),
      sliceOf(OTHER, { slot: 0, start: 30, end: 45 }),
    );
    expect(second[1]).toEqual(whole);
    const join = (...parts: Uint32Array[]) => Uint32Array.from(parts.flatMap((part) => [...part]));
    expect(join(first[0]!, second[2]!, third[0]!)).toEqual(whole);
    expect(join(first[1]!, second[0]!, third[1]!)).toEqual(other);
  });

  test("a saved state continues in any slot, as often as wanted, while its own goes on", async () => {
    await run(pipeline, sliceOf(TEXT, { slot: 0, end: 16, stateMoves: { saveTo: 1 } }));
    await run(pipeline, sliceOf(TEXT, { slot: 0, start: 16, end: 45 }));
    const blocks = { blockTable: Uint32Array.of(3, 7, 6) };
    const again = { start: 16, end: 45, stateMoves: { restoreFrom: 1 } };
    for (const slot of [1, 2]) {
      const [logits] = await run(pipeline, { ...sliceOf(TEXT, { slot, ...again }), ...blocks });
      expect(logits).toEqual(tail(whole, 16));
    }
  });

  test("one batch restores, then overwrites, the same saved state", async () => {
    await run(pipeline, sliceOf(TEXT, { slot: 0, end: 16, stateMoves: { saveTo: 0 } }));
    const blocks = { blockTable: Uint32Array.of(3, 7, 6) };
    const restored = sliceOf(TEXT, {
      ...{ slot: 1, start: 16, end: 45 },
      stateMoves: { restoreFrom: 0 },
    });
    const saving = sliceOf(OTHER, { slot: 2, end: 16, stateMoves: { saveTo: 0 } });
    const [logits] = await run(pipeline, saving, { ...restored, ...blocks }).then((all) =>
      all.slice(1)
    );
    expect(logits).toEqual(tail(whole, 16));
    const next = sliceOf(OTHER, {
      ...{ slot: 2, start: 16, end: 45 },
      stateMoves: { restoreFrom: 0 },
    });
    expect(await run(pipeline, next)).toEqual([tail(other, 16)]);
  });
});

test("a model with linear attention needs a saved state, and refuses those that are not there", async () => {
  await expect(open(1, { ...LIMITS, numSavedStates: 0 })).rejects.toThrow("at least one saved");
  const pipeline = await open(1);
  const stray = sliceOf(TEXT, { slot: 0, end: 16, stateMoves: { saveTo: 2 } });
  await expect(run(pipeline, stray)).rejects.toThrow("saved state 2 is outside those of 2");
});
