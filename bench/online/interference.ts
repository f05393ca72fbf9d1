import type { Clock } from "../../src/platform/platform.ts";
import { median } from "../median.ts";
import { randomPrompt } from "./arrivals.ts";
import type { Answer, CompletionClient } from "./completion_client.ts";
import {
  interTokenMs,
  overlappingInterTokenMs,
  type Spread,
  spreadOf,
  ttftMs,
} from "./level_statistics.ts";
import type { SeededRandom } from "./seeded_random.ts";
import { Streams } from "./streams.ts";

/** A long prompt among running streams. */
export interface InterferenceLoad {
  readonly numStreams: number;
  /** Of each stream. */
  readonly promptTokens: number;
  readonly longPromptTokens: number;
  /** That each stream gets before the long prompt comes, at least. */
  readonly quietTokens: number;
  /** Most tokens of a step. */
  readonly chunkTokens: number;
  readonly rounds: number;
}

/** What the streams' readers saw. Times in ms. */
export interface Interference {
  /** Between two tokens of a stream, before the long prompt was sent. */
  readonly before: Spread;
  /** The same while it was there and had no token yet. */
  readonly during: Spread;
  /** To the first token of the long prompt among the streams, and alone. Medians. */
  readonly amongMs: number;
  readonly aloneMs: number;
  /** A step that is full of the long prompt: `aloneMs` over the number of steps. */
  readonly chunkMs: number;
}

/** Tokens of the longest stream, so that none ends while the long prompt is there. */
export function streamTokens(load: InterferenceLoad): number {
  const { numStreams, promptTokens, longPromptTokens, quietTokens, chunkTokens } = load;
  // A step that has a prompt has a token for each stream, too.
  const promptSteps = (numTokens: number) =>
    Math.ceil(numTokens / Math.max(1, chunkTokens - numStreams));
  const steps = promptSteps(numStreams * promptTokens) + quietTokens +
    promptSteps(longPromptTokens);
  return Math.ceil(1.5 * steps) + 16;
}

/** What a measurement works with. */
interface Means {
  readonly vocabSize: number;
  readonly random: SeededRandom;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * In each round the long prompt alone, then another one of its length among streams. A short round
 * goes first and does not count. Throws the reason when a request fails or takes too long.
 */
export async function measureInterference(
  client: CompletionClient,
  { load, ...means }: Means & { readonly load: InterferenceLoad },
): Promise<Interference> {
  const { rounds, longPromptTokens, chunkTokens } = load;
  const longWarmUp = Math.min(longPromptTokens, chunkTokens + 1);
  await runRound(client, { ...load, longPromptTokens: longWarmUp, quietTokens: 1 }, means);
  const seen: Round[] = [];
  while (seen.length < rounds) seen.push(await runRound(client, load, means));
  const aloneMs = median(seen.map((round) => round.aloneMs));
  return {
    before: spreadOf(seen.flatMap(({ before }) => before)),
    during: spreadOf(seen.flatMap(({ during }) => during)),
    aloneMs,
    amongMs: median(seen.map((round) => round.amongMs)),
    chunkMs: aloneMs / Math.ceil(longPromptTokens / chunkTokens),
  };
}

/** Of one round, in ms: times to the long prompt's first token, and between tokens of the streams. */
interface Round {
  readonly aloneMs: number;
  readonly amongMs: number;
  readonly before: readonly number[];
  readonly during: readonly number[];
}

async function runRound(
  client: CompletionClient,
  load: InterferenceLoad,
  { vocabSize, random, clock, signal }: Means,
): Promise<Round> {
  const promptOf = (length: number) => randomPrompt(random, { length, vocabSize });
  const send = async (length: number) => {
    const request = { promptTokenIds: promptOf(length), maxTokens: 1 };
    return requireDone(await client.complete(request, { signal }));
  };
  // Steps that were under way when earlier streams were stopped are over after it.
  await send(1);
  const alone = await send(load.longPromptTokens);
  const prompts = Array.from({ length: load.numStreams }, () => promptOf(load.promptTokens));
  const streams = new Streams(client, { prompts, maxTokens: streamTokens(load), signal });
  try {
    await streams.allHave(1);
    const startMs = clock.now();
    await streams.allHave(1 + load.quietTokens);
    const among = await send(load.longPromptTokens);
    // Some of the tokens that waited for the long prompt's last step come after it.
    await streams.allHave(streams.mostTokens + 1);
    const answers = await streams.stop();
    const present = { startMs: among.sentMs, endMs: among.tokenMs[0]! };
    return {
      ...{ aloneMs: ttftMs(alone), amongMs: ttftMs(among) },
      before: interTokenMs(answers, { startMs, endMs: among.sentMs }),
      during: overlappingInterTokenMs(answers, present),
    };
  } finally {
    await streams.stop();
  }
}

function requireDone(answer: Answer): Answer {
  if (answer.outcome === "done" && answer.tokenMs.length > 0) return answer;
  throw new Error(answer.error ?? "A prompt had no token in time");
}
