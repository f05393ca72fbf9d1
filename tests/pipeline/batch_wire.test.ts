import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { type Batch, type BatchSlice, numBatchTokens } from "../../src/core.ts";
import { BatchDecoder } from "../../src/pipeline/batch_decoder.ts";
import { BatchEncoder } from "../../src/pipeline/batch_encoder.ts";
import { readTokenIds, tokenIdBytes } from "../../src/pipeline/batch_frame.ts";
import { MAX_REMEMBERED } from "../../src/pipeline/sequence_memory.ts";
import { WireError } from "../../src/pipeline/wire_reader.ts";
import { decodeMutants } from "./batch_mutants.ts";
import { scheduledRun } from "./scheduled_batches.ts";

const LIMITS = {
  numBlocks: 8192,
  maxModelLength: 8192,
  maxBatchTokens: 512,
  maxSequences: 16,
  numSavedStates: 8,
  maxSamples: 16,
};

const SAMPLE = { temperature: 0.7, topP: 0.9, topK: 40, minP: 0.05, seed: 0xfedcba98 };

/** What decides whether two batches are the same: bits of numbers, penalties as a set. */
function essence({ slices }: Batch, { hasTokenIds }: { hasTokenIds: boolean }) {
  return slices.map(({ tokenIds, sample, takesDrawn = false, stateMoves = {}, ...rest }) => {
    const { penalties, ...options } = sample ?? {};
    const counts = Array.from(
      penalties?.tokenIds ?? [],
      (id, i) => [id, penalties?.outputCounts[i]],
    ).sort(([a = 0], [b = 0]) => a - b);
    const { presence, frequency, repetition } = penalties ?? {};
    return {
      ...{ ...rest, takesDrawn, stateMoves, counts, presence, frequency, repetition },
      tokenIds: hasTokenIds ? tokenIds : tokenIds.length,
      sample: sample && Object.entries(options).sort(),
    };
  });
}

/** Both kinds of stages, behind one encoder. */
class Wire {
  readonly #encoder = new BatchEncoder();
  readonly first: BatchDecoder;
  readonly later: BatchDecoder;

  constructor(limits = LIMITS) {
    this.first = new BatchDecoder(limits);
    this.later = new BatchDecoder(limits);
  }

  encode(batch: Batch): Uint8Array {
    return this.#encoder.encode(batch);
  }

  /** Bytes of the meta part; expects that both stages read the same batch. */
  pass(batch: Batch): number {
    const meta = this.encode(batch);
    this.expectSame(batch, meta);
    return meta.length;
  }

  expectSame(batch: Batch, meta: Uint8Array): void {
    const { stepId } = batch;
    const tokenIds = readTokenIds(tokenIdBytes(batch));
    const atFirst = this.first.decode({ stepId, meta, tokenIds });
    expect(essence(atFirst, { hasTokenIds: true })).toEqual(essence(batch, { hasTokenIds: true }));
    const atLater = this.later.decode({ stepId, meta, tokenIds: null });
    expect(essence(atLater, { hasTokenIds: false }))
      .toEqual(essence(batch, { hasTokenIds: false }));
    expect([atFirst.stepId, atLater.stepId]).toEqual([stepId, stepId]);
  }
}

function sliceOf(
  sequenceId: number,
  { start, numTokens, ...rest }: { start: number; numTokens: number } & Partial<BatchSlice>,
): BatchSlice {
  const numBlocks = Math.ceil((start + numTokens) / 16);
  return {
    sequenceId,
    slot: sequenceId % LIMITS.maxSequences,
    startPosition: start,
    tokenIds: Uint32Array.from({ length: numTokens }, (_, i) => start + i),
    blockTable: Uint32Array.from({ length: numBlocks }, (_, i) => (sequenceId * 97 + i) % 8192),
    ...rest,
  };
}

const batchOf = (...slices: readonly BatchSlice[]): Batch => ({ stepId: 1, slices });
const decodeOf = (sequenceId: number, start: number, tokenIndex = 0) =>
  sliceOf(sequenceId, { start, numTokens: 1, sample: { ...SAMPLE, tokenIndex } });

describe("batches on the wire", () => {
  test("whatever the scheduler makes arrives as it was, at the first stage and at later ones", () => {
    let numPreemptions = 0;
    let numBatches = 0;
    const slices: BatchSlice[] = [];
    fc.assert(
      fc.property(scheduledRun, (run) => {
        const wire = new Wire(run.limits);
        for (const batch of run.batches) wire.pass(batch);
        numPreemptions += run.numPreemptions;
        numBatches += run.batches.length;
        slices.push(...run.batches.flatMap((batch) => batch.slices));
      }),
      { numRuns: 300 },
    );
    expect(numPreemptions).toBeGreaterThan(3);
    expect(numBatches).toBeGreaterThan(1000);
    const numWith = (has: (slice: BatchSlice) => unknown) => slices.filter(has).length;
    expect(numWith(({ takesDrawn }) => takesDrawn)).toBeGreaterThan(100);
    expect(numWith(({ blockCopy }) => blockCopy)).toBeGreaterThan(10);
    expect(numWith(({ stateMoves }) => stateMoves?.saveTo !== undefined)).toBeGreaterThan(10);
  });

  test("a lost batch is noticed by its sequences and never makes a wrong one", () => {
    let numRefused = 0;
    fc.assert(
      fc.property(scheduledRun, fc.nat(), ({ batches, limits }, choice) => {
        if (batches.length === 0) return;
        const wire = new Wire(limits);
        const lost = batches[choice % batches.length]!;
        const doubtful = new Set<number>();
        for (const batch of batches) {
          const meta = wire.encode(batch);
          const hasDoubtful = batch.slices.some(({ sequenceId }) => doubtful.has(sequenceId));
          if (batch === lost || hasDoubtful) {
            for (const { sequenceId } of batch.slices) doubtful.add(sequenceId);
          }
          if (batch === lost) continue;
          if (!hasDoubtful) {
            wire.expectSame(batch, meta);
            continue;
          }
          expect(() => wire.later.decode({ stepId: 1, meta, tokenIds: null })).toThrow(WireError);
          expect(() => wire.expectSame(batch, meta)).toThrow(/a batch was lost$/);
          numRefused++;
        }
      }),
      { numRuns: 150 },
    );
    expect(numRefused).toBeGreaterThan(100);
  });

  test("a sequence before the fault of a batch is in doubt as well as those behind it", () => {
    const wire = new Wire();
    wire.pass(
      batchOf(sliceOf(1, { start: 0, numTokens: 16 }), sliceOf(2, { start: 0, numTokens: 16 })),
    );
    wire.encode(batchOf(decodeOf(2, 16)));
    const both = wire.encode(batchOf(decodeOf(1, 16), decodeOf(2, 17)));
    expect(() => wire.later.decode({ stepId: 3, meta: both, tokenIds: null })).toThrow(WireError);
    const next = wire.encode(batchOf(decodeOf(1, 17)));
    expect(() => wire.later.decode({ stepId: 4, meta: next, tokenIds: null })).toThrow(
      /a batch was lost$/,
    );
  });

  test("a preemption behind a lost batch does not bring the old blocks back", () => {
    const wire = new Wire();
    wire.pass(batchOf(sliceOf(1, { start: 0, numTokens: 60 })));
    // Preempted, and prefilled elsewhere: the first chunk gets lost.
    const moved = (numBlocks: number) => Uint32Array.from({ length: numBlocks }, (_, i) => 700 + i);
    wire.encode(batchOf(sliceOf(1, { start: 0, numTokens: 32, blockTable: moved(2) })));
    const meta = wire.encode(
      batchOf(sliceOf(1, { start: 32, numTokens: 29, blockTable: moved(4) })),
    );
    expect(() => wire.later.decode({ stepId: 3, meta, tokenIds: null })).toThrow(
      "Slice 2 of sequence 1 came after 1: a batch was lost",
    );
  });

  test("a decode of a long sequence is small: prompt, options and old blocks were sent once", () => {
    const wire = new Wire();
    const sample = { ...SAMPLE, tokenIndex: 0 };
    const prefillBytes = wire.pass(batchOf(sliceOf(1, { start: 0, numTokens: 500, sample })));
    const decodeBytes = 40;
    // 32 blocks and the options; no token ids.
    expect(prefillBytes).toBe(decodeBytes + 4 * 32 + 32);
    for (let start = 500; start < 564; start++) {
      const hasNewBlock = start % 16 === 0;
      expect(wire.pass(batchOf(decodeOf(1, start)))).toBe(decodeBytes + (hasNewBlock ? 4 : 0));
    }
    // Other options are sent, once.
    const decodeWith = (seed: number, start: number) =>
      batchOf(sliceOf(1, { start, numTokens: 1, sample: { ...sample, seed } }));
    expect(wire.pass(decodeWith(5, 564))).toBe(decodeBytes + 32);
    expect(wire.pass(decodeWith(5, 565))).toBe(decodeBytes);
  });

  test("penalties travel as changes: a drawn token costs 8 bytes, whatever came before", () => {
    const wire = new Wire();
    const counts = new Map(Array.from({ length: 300 }, (_, i) => [i * 7, 0]));
    const step = (start: number, numTokens: number) =>
      wire.pass(batchOf(sliceOf(3, {
        start,
        numTokens,
        sample: {
          ...SAMPLE,
          tokenIndex: 0,
          penalties: {
            ...{ presence: 0.5, frequency: -0.25, repetition: 1.1 },
            tokenIds: Uint32Array.from(counts.keys()),
            outputCounts: Uint32Array.from(counts.values()),
          },
        },
      })));
    expect(step(0, 300)).toBeGreaterThan(300 * 8);
    counts.set(70_000, 1);
    expect(step(300, 1)).toBeLessThanOrEqual(48 + 4 + 8);
    counts.set(7, 1);
    expect(step(301, 1)).toBeLessThanOrEqual(48 + 4 + 8);
    // A token that is gone makes the counts start anew.
    counts.delete(14);
    expect(step(302, 1)).toBeGreaterThan(299 * 8);
  });

  test("slots, drawn tokens, copies and moves of states arrive as they were, batch after batch", () => {
    const { numBlocks, numSavedStates, maxSequences } = LIMITS;
    const savedState = fc.option(fc.nat(numSavedStates - 1), { nil: undefined });
    const extras = fc.record({
      takesDrawn: fc.boolean(),
      copiedBlock: fc.option(fc.nat(numBlocks - 1), { nil: undefined }),
      restoreFrom: savedState,
      saveTo: savedState,
      hasSample: fc.boolean(),
    });
    const slots = fc.uniqueArray(fc.nat(maxSequences - 1), { minLength: 1, maxLength: 5 });
    const step = slots.chain((slots) =>
      fc.tuple(
        fc.constant(slots),
        fc.array(extras, {
          minLength: slots.length,
          maxLength: slots.length,
        }),
      )
    );
    fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), (steps) => {
      const wire = new Wire();
      for (const [start, [slots, extras]] of steps.entries()) {
        wire.pass(batchOf(...slots.map((slot, i) => {
          const { takesDrawn, copiedBlock, restoreFrom, saveTo, hasSample } = extras[i]!;
          const slice = sliceOf(40 * start + slot, { start: 90 + start, numTokens: 1, slot });
          const to = slice.blockTable[copiedBlock === undefined ? 0 : copiedBlock % 6]!;
          return {
            ...slice,
            ...(takesDrawn && { takesDrawn, tokenIds: Uint32Array.of(0) }),
            ...(copiedBlock !== undefined && { blockCopy: { from: copiedBlock, to } }),
            ...((restoreFrom ?? saveTo) !== undefined && {
              stateMoves: {
                ...(restoreFrom !== undefined && { restoreFrom }),
                ...(saveTo !== undefined && { saveTo }),
              },
            }),
            ...(hasSample && { sample: { ...SAMPLE, tokenIndex: start } }),
          };
        })));
      }
    }));
  });

  test("a decode ahead costs no more than a decode, a copy 8 bytes, a moved state 4", () => {
    const wire = new Wire();
    wire.pass(batchOf(decodeOf(1, 40)));
    const decodeBytes = wire.pass(batchOf(decodeOf(1, 41)));
    const step = (start: number, extra: Partial<BatchSlice>) =>
      wire.pass(batchOf({ ...decodeOf(1, start), ...extra })) - decodeBytes;
    expect(step(42, { takesDrawn: true, tokenIds: Uint32Array.of(0) })).toBe(0);
    const [to = 0] = decodeOf(1, 43).blockTable;
    expect(step(43, { blockCopy: { from: 5, to } })).toBe(8);
    expect(step(44, { stateMoves: { saveTo: 1 } })).toBe(4);
    expect(step(45, { stateMoves: { restoreFrom: 0, saveTo: 7 } })).toBe(8);
  });

  test("options keep every bit", () => {
    const wire = new Wire();
    const values = [-0, 0, 0.1, 5e-324, Number.MAX_VALUE, Infinity, NaN, 1 / 3];
    values.forEach((value, i) =>
      wire.pass(batchOf(sliceOf(1, {
        start: i,
        numTokens: 1,
        sample: {
          ...{ temperature: value, topP: value, minP: value, topK: 2 ** 32 - 1 - i, seed: i },
          tokenIndex: i,
          penalties: {
            ...{ presence: value, frequency: value, repetition: value },
            tokenIds: Uint32Array.of(2 ** 32 - 1),
            outputCounts: Uint32Array.of(i),
          },
          ...(i % 2 === 1 && { wantsLogits: true }),
        },
      })))
    );
  });

  test("beyond the limit the oldest sequences are forgotten at both ends, and come back whole", () => {
    const wire = new Wire();
    for (let id = 0; id < MAX_REMEMBERED; id++) wire.pass(batchOf(decodeOf(id, 100)));
    const knownBytes = wire.pass(batchOf(decodeOf(0, 101)));
    // One more, and sequence 1 is the oldest.
    wire.pass(batchOf(decodeOf(MAX_REMEMBERED, 100)));
    expect(wire.pass(batchOf(decodeOf(0, 102)))).toBe(knownBytes);
    expect(wire.pass(batchOf(decodeOf(1, 101)))).toBeGreaterThan(knownBytes + 7 * 4);
    expect(wire.pass(batchOf(decodeOf(3, 101)))).toBe(knownBytes);
  });

  test("what does not fit the stage is refused with a reason", () => {
    const limits = { ...LIMITS, maxModelLength: 64, maxBatchTokens: 40, maxSequences: 2 };
    const refusal = (batch: Batch, tokenIds: Uint32Array | null = null) => {
      try {
        new BatchDecoder(limits)
          .decode({ stepId: 1, meta: new BatchEncoder().encode(batch), tokenIds });
      } catch (error) {
        expect(error).toBeInstanceOf(WireError);
        return (error as Error).message;
      }
      return null;
    };
    const small = sliceOf(1, { start: 0, numTokens: 4 });
    expect(refusal(batchOf(small), Uint32Array.of(1, 2, 3, 4))).toBe(null);
    expect(refusal(batchOf(small), Uint32Array.of(1, 2, 3))).toBe(
      "3 token ids are too few for the batch",
    );
    expect(refusal(batchOf(small), Uint32Array.of(1, 2, 3, 4, 5))).toBe(
      "5 token ids came for 4 tokens",
    );
    expect(refusal(batchOf(sliceOf(1, { start: 60, numTokens: 5 })))).toBe(
      "Positions [60, 65) are outside every sequence",
    );
    expect(refusal(batchOf(sliceOf(1, { start: 0, numTokens: 41 })))).toBe(
      "The batch exceeds 40 tokens",
    );
    expect(refusal(batchOf(small, { ...small, sequenceId: 2 }, { ...small, sequenceId: 3 }))).toBe(
      "3 slices exceed the limit of 2",
    );
    expect(refusal(batchOf({ ...small, slot: 2 }))).toBe("Slot 2 is beyond 2");
    expect(refusal(batchOf(small, { ...small, sequenceId: 2 }))).toBe("Slot 1 is used twice");
    expect(refusal(batchOf({ ...small, blockTable: Uint32Array.of(8192) }))).toBe(
      "Block 8192 is outside the pool of 8192",
    );
    expect(refusal(batchOf({ ...small, blockCopy: { from: 8192, to: 97 } }))).toBe(
      "Block 8192 is outside the pool of 8192",
    );
    expect(refusal(batchOf({ ...small, blockCopy: { from: 97, to: 98 } }))).toBe(
      "Block 98 gets a copy and is none of the sequence",
    );
    expect(refusal(batchOf({ ...small, stateMoves: { restoreFrom: 8 } }))).toBe(
      "Saved state 8 is beyond 8",
    );
    expect(refusal(batchOf({ ...small, stateMoves: { restoreFrom: 7, saveTo: 9 } }))).toBe(
      "Saved state 9 is beyond 8",
    );
    expect(refusal(batchOf({ ...small, takesDrawn: true }))).toBe("4 tokens were drawn at once");
    expect(refusal(batchOf({ ...small, blockTable: Uint32Array.of(1, 2) }))).toBe(
      "0 of 0 known blocks and 2 new ones do not make 1",
    );
  });

  test("a sequence goes on further ahead where another one computed its prefix meanwhile", () => {
    const wire = new Wire();
    wire.pass(batchOf(sliceOf(1, { start: 0, numTokens: 10 })));
    // It was preempted, and finds more of its tokens in the cache than it had computed itself.
    const ahead = batchOf(sliceOf(1, { start: 48, numTokens: 10 }));
    expect(wire.later.decode({ stepId: 1, meta: wire.encode(ahead), tokenIds: null }).slices[0])
      .toMatchObject({ startPosition: 48, blockTable: ahead.slices[0]!.blockTable });
  });

  test("damaged bytes are refused, or make a batch within the limits; nothing else happens", () => {
    const { numRefused, numTaken, ...never } = decodeMutants(100_000);
    expect(never).toEqual({ numOversized: 0, numUnexpected: 0 });
    expect(numRefused).toBeGreaterThan(50_000);
    expect(numTaken).toBeGreaterThan(1_000);
  });

  test("token ids are those of all slices, end to end", () => {
    const batch = batchOf(
      sliceOf(1, { start: 5, numTokens: 3 }),
      sliceOf(2, { start: 900, numTokens: 2 }),
    );
    const tokenIds = readTokenIds(tokenIdBytes(batch));
    expect([...tokenIds]).toEqual([5, 6, 7, 900, 901]);
    expect(tokenIds).toHaveLength(numBatchTokens(batch));
    expect(() => readTokenIds(new Uint8Array(7))).toThrow("7 bytes are no token ids");
  });
});
