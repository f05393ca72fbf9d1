/** What a stage on a real device keeps between batches: drawn tokens, K and V, and the order of calls. */
import { afterAll, describe, expect, test } from "vitest";
import {
  type Batch,
  type BatchSlice,
  BLOCK_SIZE,
  DEFAULT_SAMPLING,
  type SampleRequest,
  splitLayers,
  type TokenOutput,
} from "../../src/core.ts";
import { openGoldenCase } from "../../src/golden.ts";
import { defaultTuning } from "../../src/kernels/tuning.ts";
import { architectureOf } from "../../src/models/registry.ts";
import { FileStore } from "../../src/platform/file_store.ts";
import { LocalStage } from "../../src/stage/local_stage.ts";
import { openTestGpu } from "../kernels/gpu.ts";

const { context } = await openTestGpu();
const { source, inputs } = await openGoldenCase(new FileStore("tests/golden/llama"), "llama");
const architecture = architectureOf(source.hfConfig);
const config = architecture.readConfig(source.hfConfig);
const limits = {
  numBlocks: 24,
  maxModelLength: 96,
  maxBatchTokens: 64,
  maxSequences: 4,
  numSavedStates: 2,
  maxSamples: 64,
};
const TEXT = inputs[1]!.inputIds;

const stages: LocalStage[] = [];
afterAll(() => stages.forEach((stage) => stage.close()));

async function openStage({ numStages = 1, useF16Kv = false } = {}): Promise<LocalStage> {
  const tuning = defaultTuning(context.capabilities, { isDeterministic: true, useF16Kv });
  const [shard] = splitLayers(config.numLayers, numStages);
  const stage = await LocalStage.load({
    ...{ context, tuning, architecture, config, source, limits },
    shard: shard!,
  });
  stages.push(stage);
  return stage;
}

const GREEDY: SampleRequest = { ...DEFAULT_SAMPLING, tokenIndex: 0, wantsLogits: true };
const WARM: SampleRequest = { ...GREEDY, temperature: 1.5, topP: 0.95, seed: 77 };

let numBatches = 0;
const batchOf = (...slices: readonly BatchSlice[]): Batch => ({ stepId: ++numBatches, slices });

/** A sequence in blocks of its own, 6 of them, not in order. */
function sliceOf(
  sequenceId: number,
  { start, tokenIds, ...rest }: {
    readonly start: number;
    readonly tokenIds: readonly number[];
  } & Omit<Partial<BatchSlice>, "tokenIds">,
): BatchSlice {
  const numBlocks = Math.ceil((start + tokenIds.length) / BLOCK_SIZE);
  return {
    sequenceId,
    slot: sequenceId,
    startPosition: start,
    tokenIds: Uint32Array.from(tokenIds),
    blockTable: Uint32Array.from({ length: numBlocks }, (_, i) => 6 * sequenceId + 5 - i),
    ...rest,
  };
}

async function run(stage: LocalStage, batch: Batch): Promise<readonly TokenOutput[]> {
  const output = await stage.forward(batch, null);
  if (output.type !== "tokens") throw new Error("The stage is the whole model");
  return output.tokens;
}

/** Token ids, and logits bit for bit. */
function bitsOf(outputs: readonly TokenOutput[]) {
  return outputs.map(({ sequenceId, tokenId, logits }) => ({
    sequenceId,
    tokenId,
    logits: logits && new Uint32Array(logits.slice().buffer),
  }));
}

interface Stream {
  readonly prompt: readonly number[];
  readonly sample: SampleRequest;
}

const STREAMS: readonly Stream[] = [
  { prompt: TEXT.slice(0, 14), sample: GREEDY },
  { prompt: TEXT.slice(3, 4), sample: WARM },
  { prompt: TEXT.slice(5, 30), sample: { ...WARM, seed: 4, topK: 20 } },
];
const NUM_DECODES = 8;

function promptSlice({ prompt, sample }: Stream, id: number, rest: Partial<BatchSlice> = {}) {
  return { ...sliceOf(id, { start: 0, tokenIds: prompt, sample }), ...rest };
}

/** Each step waits for the tokens of the one before. */
async function decodeStepByStep(stage: LocalStage, streams: readonly Stream[]) {
  const steps = [await run(stage, batchOf(...streams.map((s, id) => promptSlice(s, id))))];
  for (let i = 1; i <= NUM_DECODES; i++) {
    const slices = streams.map(({ prompt, sample }, id) =>
      sliceOf(id, {
        start: prompt.length + i - 1,
        tokenIds: [steps.at(-1)![id]!.tokenId],
        sample: { ...sample, tokenIndex: i },
      })
    );
    steps.push(await run(stage, batchOf(...slices)));
  }
  return steps.map(bitsOf);
}

function aheadSlice({ prompt, sample }: Stream, id: number, tokenIndex: number): BatchSlice {
  return sliceOf(id, {
    start: prompt.length + tokenIndex - 1,
    tokenIds: [0],
    takesDrawn: true,
    sample: { ...sample, tokenIndex },
  });
}

/** All steps are submitted before the first token is read. */
async function decodeAhead(stage: LocalStage, streams: readonly Stream[]) {
  const steps = [run(stage, batchOf(...streams.map((s, id) => promptSlice(s, id))))];
  for (let i = 1; i <= NUM_DECODES; i++) {
    steps.push(run(stage, batchOf(...streams.map((s, id) => aheadSlice(s, id, i)))));
  }
  return (await Promise.all(steps)).map(bitsOf);
}

describe("tokens that the coordinator does not know yet", () => {
  test.each([1, 3])("give the bits of decoding step by step, %i sequences", async (n) => {
    const streams = STREAMS.slice(0, n);
    const expected = await decodeStepByStep(await openStage(), streams);
    expect(await decodeAhead(await openStage(), streams)).toEqual(expected);
    const tokenIds = new Set(expected.flat().map(({ tokenId }) => tokenId));
    expect(tokenIds.size).toBeGreaterThan(n);
  });

  test("mix with prompts and known tokens in one batch, in any order of slices", async () => {
    const [known, drawn, late] = STREAMS as [Stream, Stream, Stream];
    const expected = await decodeStepByStep(await openStage(), STREAMS);
    const stage = await openStage();
    const first = run(stage, batchOf(promptSlice(known, 0), promptSlice(drawn, 1)));
    const { tokenId } = expected[0]![0]!;
    const second = run(
      stage,
      batchOf(
        promptSlice(late, 2),
        aheadSlice(drawn, 1, 1),
        { ...aheadSlice(known, 0, 1), takesDrawn: false, tokenIds: Uint32Array.of(tokenId) },
      ),
    );
    const third = run(stage, batchOf(aheadSlice(late, 2, 1), aheadSlice(drawn, 1, 2)));
    expect(bitsOf(await first)).toEqual(expected[0]!.slice(0, 2));
    const [start, ahead, plain] = bitsOf(await second);
    expect(start).toEqual(expected[0]![2]);
    expect([plain, ahead]).toEqual(expected[1]!.slice(0, 2));
    expect(bitsOf(await third)).toEqual([expected[1]![2], expected[2]![1]]);
  });

  test("belong to the sequence that drew last in the slot", async () => {
    const [first, second] = STREAMS as [Stream, Stream];
    const expected = await decodeStepByStep(await openStage(), [first, second]);
    const stage = await openStage();
    await run(stage, batchOf(promptSlice(first, 0)));
    const moved = (slice: BatchSlice): BatchSlice => ({ ...slice, slot: 0 });
    await expect(run(stage, batchOf(moved(aheadSlice(second, 1, 1))))).rejects.toThrow(
      "Sequence 1 drew no token in slot 0",
    );
    // Slot 0 changes hands while its last token is on its way.
    const steps = [
      run(stage, batchOf(aheadSlice(first, 0, 1))),
      run(stage, batchOf(moved(promptSlice(second, 1)))),
      run(stage, batchOf(moved(aheadSlice(second, 1, 1)))),
    ];
    await expect(run(stage, batchOf(aheadSlice(first, 0, 2)))).rejects.toThrow(RangeError);
    const outputs = (await Promise.all(steps)).flatMap(bitsOf);
    expect(outputs).toEqual([expected[1]![0], expected[0]![1], expected[1]![1]]);
  });

  test("are not to be had on a stage that only embeds", async () => {
    const stage = await openStage({ numStages: 3 });
    const [stream] = STREAMS as [Stream];
    await stage.forward(batchOf(promptSlice(stream, 0)), null);
    await expect(stage.forward(batchOf(aheadSlice(stream, 0, 1)), null)).rejects.toThrow(
      "Tokens are drawn by another stage than this one",
    );
  });
});

describe.each([false, true])("copied blocks, f16: %s", (useF16Kv) => {
  test("go on as if they had been computed, whatever becomes of the originals", async () => {
    const common = TEXT.slice(0, 20);
    const tails = [TEXT.slice(30, 36), TEXT.slice(36, 41), TEXT.slice(20, 29)];
    const alone = await openStage({ useF16Kv });
    const expected: TokenOutput[] = [];
    for (const [id, tail] of tails.entries()) {
      await run(alone, batchOf(sliceOf(id, { start: 0, tokenIds: common })));
      expected.push(
        ...await run(alone, batchOf(sliceOf(id, { start: 20, tokenIds: tail, sample: GREEDY }))),
      );
    }

    const stage = await openStage({ useF16Kv });
    await run(stage, batchOf(sliceOf(0, { start: 0, tokenIds: common })));
    const [full, last] = [5, 4];
    // 1 copies the last block of 0 and 2 the copy of 1, while all three write to theirs.
    const outputs = await run(
      stage,
      batchOf(
        sliceOf(0, { start: 20, tokenIds: tails[0]!, sample: GREEDY }),
        sliceOf(1, {
          ...{ start: 20, tokenIds: tails[1]!, sample: GREEDY },
          blockTable: Uint32Array.of(full, 10),
          blockCopy: { from: last, to: 10 },
        }),
        sliceOf(2, {
          ...{ start: 20, tokenIds: tails[2]!, sample: GREEDY },
          blockTable: Uint32Array.of(full, 17),
          blockCopy: { from: 10, to: 17 },
        }),
      ),
    );
    expect(bitsOf(outputs)).toEqual(bitsOf(expected));
  });
});

describe("calls that overlap", () => {
  test("give what they give one after the other, whatever their shapes and options", async () => {
    const batches = Array.from({ length: 12 }, (_, i) => {
      const penalties = {
        ...{ presence: 0.5 * i, frequency: 0.25, repetition: 1.25 },
        tokenIds: Uint32Array.from(TEXT.slice(0, 5 + i)).filter((id, at, all) =>
          all.indexOf(id) === at
        ),
        outputCounts: new Uint32Array(5 + i).fill(i),
      };
      const sample = { ...(i % 3 === 0 ? GREEDY : WARM), seed: i, tokenIndex: i };
      const slices = Array.from({ length: 1 + i % 4 }, (_, id) =>
        sliceOf(id, {
          start: 0,
          tokenIds: TEXT.slice(id, id + 1 + (5 * i) % 11),
          sample: { ...sample, ...(i % 2 === 0 && { penalties }), wantsLogits: i % 5 !== 0 },
        }));
      return batchOf(...slices);
    });
    const stage = await openStage();
    const expected = [];
    for (const batch of batches) expected.push(bitsOf(await run(stage, batch)));
    const together = await Promise.all(batches.map((batch) => run(stage, batch)));
    expect(together.map(bitsOf)).toEqual(expected);
  });

  test("a refused batch leaves those around it alone", async () => {
    const stage = await openStage();
    const [stream] = STREAMS as [Stream];
    const good = run(stage, batchOf(promptSlice(stream, 0)));
    const bad = run(stage, batchOf(promptSlice(stream, 1, { slot: 4 })));
    const next = run(stage, batchOf(aheadSlice(stream, 0, 1)));
    await expect(bad).rejects.toThrow("slot 4 is outside those of 4");
    const expected = await decodeStepByStep(await openStage(), [stream]);
    expect([await good, await next].map(bitsOf)).toEqual(expected.slice(0, 2));
  });
});

test("a model without linear attention has no states to move", async () => {
  const [stream] = STREAMS as [Stream];
  const slice = promptSlice(stream, 0, { stateMoves: { saveTo: 0 } });
  await expect(run(await openStage(), batchOf(slice))).rejects.toThrow(
    "its states move, and the model has none",
  );
});
