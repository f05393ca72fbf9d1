import { expect, test } from "vitest";
import { checkLogits } from "../../bench/finite_logits.ts";
import type { Batch } from "../../src/core.ts";

const RUN = { vocabSize: 4, promptTokens: 21, decodeTokens: 3, chunkTokens: 8 };

/** A pipeline that draws position + 1 mod 4, and has `bad` among the logits of one position. */
function pipelineWith(bad: { readonly position: number; readonly logit: number } | null) {
  const batches: Batch[] = [];
  return {
    batches,
    numStages: 1,
    close: () => {},
    forward: (batch: Batch) => {
      batches.push(batch);
      return Promise.resolve(batch.slices.flatMap((slice) => {
        if (slice.sample === undefined) return [];
        const logits = new Float32Array(4);
        if (slice.startPosition === bad?.position) logits[2] = bad.logit;
        return [{ sequenceId: 0, tokenId: (slice.startPosition + 1) % 4, logits }];
      }));
    },
  };
}

test("checkLogits() prefills in chunks, then decodes what was drawn", async () => {
  const pipeline = pipelineWith(null);
  await checkLogits(pipeline, RUN);
  const slices = pipeline.batches.map(({ slices }) => slices[0]!);
  expect(slices.map(({ startPosition, tokenIds }) => [startPosition, tokenIds.length]))
    .toEqual([[0, 8], [8, 8], [16, 4], [20, 1], [21, 1], [22, 1], [23, 1]]);
  expect(slices.slice(-3).map(({ tokenIds }) => tokenIds[0])).toEqual([1, 2, 3]);
});

test.each([NaN, Infinity])("checkLogits() names a logit that is %s", async (logit) => {
  await expect(checkLogits(pipelineWith({ position: 22, logit }), RUN))
    .rejects.toThrow(`Logit 2 at position 22 is ${logit}`);
});
