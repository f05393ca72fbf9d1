/** Random sequences and limits, small enough that pools run out and limits are met often. */
import fc from "fast-check";
import { DEFAULT_SAMPLING, type SamplingParams } from "../../src/core.ts";
import type { SequenceTerms } from "../../src/scheduler/sequence_terms.ts";
import type { SchedulerOptions } from "../../src/scheduler/options.ts";
import { VOCAB_SIZE } from "../pipeline/hash_chain.ts";

/** Mostly short prompts, some of several blocks, and often one that starts like others. */
export const prompt: fc.Arbitrary<number[]> = fc.oneof(
  fc.array(fc.nat(VOCAB_SIZE - 1), { minLength: 1, maxLength: 20 }),
  fc.array(fc.nat(VOCAB_SIZE - 1), { minLength: 1, maxLength: 90, size: "max" }),
  fc.record({
    family: fc.nat(1),
    numShared: fc.oneof(fc.nat(90), fc.constantFrom(16, 32, 48, 64)),
    own: fc.oneof(fc.constant([]), fc.array(fc.nat(VOCAB_SIZE - 1), { maxLength: 20 })),
  }).map(({ family, numShared, own }) => [
    ...Array.from({ length: numShared }, (_, i) => (i * (7 + family) + family) % VOCAB_SIZE),
    ...(numShared + own.length === 0 ? [family] : own),
  ]),
);

export const terms: fc.Arbitrary<SequenceTerms> = fc.record({
  priority: fc.constantFrom("interactive", "interactive", "batch"),
  clientId: fc.constantFrom("a", "b", "c"),
  cacheSalt: fc.constantFrom("", "", "x"),
});

export const sampling: fc.Arbitrary<SamplingParams> = fc.record({
  maxTokens: fc.oneof(fc.constant(60), fc.integer({ min: 1, max: 60 })),
  temperature: fc.constantFrom(0, 0.75),
  seed: fc.nat(1000),
  frequencyPenalty: fc.constantFrom(0, 0, 0.5),
  repetitionPenalty: fc.constantFrom(1, 1, 1.25),
  stopTokenIds: fc.constantFrom([], [], [3], [7, 11]),
}).map((chosen) => ({ ...DEFAULT_SAMPLING, ...chosen }));

export const limits: fc.Arbitrary<SchedulerOptions & { readonly numMicroBatches: number }> = fc
  .record({
    numBlocks: fc.oneof(
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 16 }),
      fc.integer({ min: 8, max: 40 }),
    ),
    maxModelLength: fc.oneof(fc.constant(120), fc.integer({ min: 2, max: 120 })),
    maxSequences: fc.integer({ min: 1, max: 8 }),
    numMicroBatches: fc.integer({ min: 1, max: 4 }),
    numSpareTokens: fc.integer({ min: 0, max: 40 }),
    numSavedStates: fc.constantFrom(0, 0, 1, 5),
  }).map(({ numSpareTokens, ...rest }) => ({
    ...rest,
    maxBatchTokens: rest.maxSequences + numSpareTokens,
  }));
