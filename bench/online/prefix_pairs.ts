import { median } from "../median.ts";
import { randomPrompt } from "./arrivals.ts";
import type { Answer, CompletionClient } from "./completion_client.ts";
import { ttftMs } from "./level_statistics.ts";
import type { SeededRandom } from "./seeded_random.ts";

/** Times to the first token of prompts that begin alike. Medians over the pairs. */
export interface PrefixTimes {
  readonly coldMs: number;
  readonly cachedMs: number;
  /** Of the second of each pair, as the server reports it; null where it does not. */
  readonly cachedTokens: number | null;
  /** The same of the first: 0, or they were not cold. */
  readonly coldCachedTokens: number | null;
}

/** What differs between the two of a pair. */
const TAIL_TOKENS = 8;

/** Tokens of a prompt with a prefix of so many. */
export function pairLength(prefixTokens: number): number {
  return prefixTokens + TAIL_TOKENS;
}

/**
 * Sends pairs of prompts, one after the other: each pair with a prefix of its own, never seen before.
 * One more pair goes first and does not count. Throws the reason when a request fails.
 */
export async function measurePrefix(
  client: CompletionClient,
  { prefixTokens, numPairs, vocabSize, random, signal }: {
    readonly prefixTokens: number;
    readonly numPairs: number;
    readonly vocabSize: number;
    readonly random: SeededRandom;
    readonly signal: AbortSignal;
  },
): Promise<PrefixTimes> {
  const cold: Answer[] = [];
  const cached: Answer[] = [];
  for (let pair = 0; pair <= numPairs; pair++) {
    const prefix = randomPrompt(random, { length: prefixTokens, vocabSize });
    for (const answers of [cold, cached]) {
      const tail = randomPrompt(random, { length: TAIL_TOKENS, vocabSize });
      const answer = await client.complete(
        { promptTokenIds: [...prefix, ...tail], maxTokens: 1 },
        { signal },
      );
      if (answer.outcome !== "done") throw new Error(answer.error ?? "It took too long");
      if (pair > 0) answers.push(answer);
    }
  }
  return {
    coldMs: median(cold.map(ttftMs)),
    cachedMs: median(cached.map(ttftMs)),
    cachedTokens: medianOrNull(cached.map(({ usage }) => usage?.cachedTokens ?? null)),
    coldCachedTokens: medianOrNull(cold.map(({ usage }) => usage?.cachedTokens ?? null)),
  };
}

function medianOrNull(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : median(known);
}
