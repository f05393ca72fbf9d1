/**
 * Tokens a second through engine, scheduler and pipeline, by the clock on the wall.
 *
 * @module
 */
import { DEFAULT_SAMPLING } from "../src/core.ts";
import type { Engine } from "../src/engine.ts";
import { promptOf } from "./batches.ts";
import { median } from "./median.ts";

/** Sequences that run at once. */
export interface Load {
  readonly engine: Engine;
  readonly vocabSize: number;
  readonly numSequences: number;
  readonly promptTokens: number;
  readonly repeats: number;
}

/** Prompt tokens a second until every sequence has its first token. Median of `repeats`. */
export async function prefillRate(load: Load): Promise<number> {
  const elapsed: number[] = [];
  for (let repeat = 0; repeat < load.repeats; repeat++) {
    const startMs = performance.now();
    await Promise.all(
      prompts(load).map(async (prompt) => {
        const sampling = { ...DEFAULT_SAMPLING, maxTokens: 1 };
        // A salt of its own: what an earlier repeat cached must not help.
        const options = { cacheSalt: `prefill ${repeat}` };
        for await (const _ of load.engine.generate(prompt, sampling, options)) { /* one token */ }
      }),
    );
    elapsed.push(performance.now() - startMs);
  }
  return load.numSequences * load.promptTokens / median(elapsed) * 1000;
}

/**
 * Tokens a second while every sequence decodes greedily, stop tokens ignored: counted from the
 * moment the last sequence has its first token, in `repeats` stretches of `decodeTokens` for each
 * sequence, of which the median counts. `prefillSteps` is how far the first may be ahead.
 */
export async function decodeRate(
  load: Load,
  { decodeTokens, prefillSteps }: {
    readonly decodeTokens: number;
    readonly prefillSteps: number;
  },
): Promise<number> {
  const { engine, numSequences, repeats } = load;
  const wantedTokens = decodeTokens * numSequences;
  const marks: number[] = [];
  const aborter = new AbortController();
  let numStarted = 0;
  let numCounted = 0;
  await Promise.all(
    prompts(load).map(async (prompt) => {
      // One more, so that none ends inside the last stretch.
      const maxTokens = decodeLength({ repeats, decodeTokens, prefillSteps });
      let isFirst = true;
      const { signal } = aborter;
      for await (
        const { tokenIds } of engine.generate(prompt, { ...DEFAULT_SAMPLING, maxTokens }, {
          signal,
        })
      ) {
        if (isFirst && tokenIds.length > 0) {
          isFirst = false;
          if (++numStarted === numSequences) marks.push(performance.now());
          continue;
        }
        if (numStarted < numSequences) continue;
        numCounted += tokenIds.length;
        if (numCounted >= marks.length * wantedTokens) marks.push(performance.now());
        if (marks.length > repeats) aborter.abort();
      }
    }),
  );
  if (marks.length <= repeats) throw new Error(`Decoding ended after ${numCounted} tokens`);
  const elapsed = marks.slice(1).map((mark, i) => mark - (marks[i] ?? NaN));
  return wantedTokens / median(elapsed) * 1000;
}

/** Tokens that `decodeRate` makes each sequence generate at most. */
export function decodeLength({ repeats, decodeTokens, prefillSteps }: {
  readonly repeats: number;
  readonly decodeTokens: number;
  readonly prefillSteps: number;
}): number {
  return repeats * decodeTokens + prefillSteps + 2;
}

function prompts({ numSequences, promptTokens, vocabSize }: Load): number[][] {
  return Array.from(
    { length: numSequences },
    (_, seed) => promptOf({ length: promptTokens, seed, vocabSize }),
  );
}
