import type { BenchOptions } from "../options.ts";
import { type Load, longest } from "./arrivals.ts";
import { type InterferenceLoad, streamTokens } from "./interference.ts";
import { pairLength } from "./prefix_pairs.ts";

/** What is measured, and how long prompts and answers are. */
export interface Workload {
  /** Numbers of users, one level each. */
  readonly users: readonly number[];
  readonly load: Omit<Load, "vocabSize">;
  /** How long the steady part of a level is watched. */
  readonly windowMs: number;
  /** Most tokens of a step. */
  readonly chunkTokens: number;
  readonly prefixTokens: number;
  readonly prefixPairs: number;
  readonly interference: InterferenceLoad;
}

/** Lengths in tokens. */
interface Lengths {
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly chunkTokens: number;
  readonly windowS: number;
  readonly prefixTokens: number;
  readonly longPromptTokens: number;
  readonly quietTokens: number;
  readonly repeats: number;
}

const HARDWARE: Lengths = {
  promptTokens: 512,
  outputTokens: 128,
  chunkTokens: 512,
  windowS: 15,
  prefixTokens: 2048,
  longPromptTokens: 4096,
  quietTokens: 64,
  repeats: 3,
};

/** Prompts of SmolLM2 run at some 30 tokens/s there. */
const SOFTWARE: Lengths = {
  promptTokens: 16,
  outputTokens: 8,
  chunkTokens: 64,
  windowS: 10,
  prefixTokens: 256,
  longPromptTokens: 256,
  quietTokens: 8,
  repeats: 2,
};

const DEFAULT_USERS = [1, 4, 16, 32];
const NUM_STREAMS = 8;
const DEFAULT_THINK_MS = 100;

/** The workload of a command line, on hardware or on a software adapter. */
export function workloadOf(options: BenchOptions, isSoftware: boolean): Workload {
  const defaults = isSoftware ? SOFTWARE : HARDWARE;
  const users = options.users ?? DEFAULT_USERS;
  const promptTokens = options.promptTokens ?? defaults.promptTokens;
  const outputTokens = options.outputTokens ?? defaults.outputTokens;
  const repeats = options.repeats ?? defaults.repeats;
  const mostSequences = Math.max(NUM_STREAMS, ...users);
  const chunkTokens = Math.max(options.chunkTokens ?? defaults.chunkTokens, mostSequences + 1);
  const { ratePerS, thinkMs } = options;
  return {
    users,
    load: {
      ...{ seed: options.seed, promptTokens, outputTokens },
      arrivals: ratePerS === null
        ? { type: "closed", thinkMs: thinkMs ?? DEFAULT_THINK_MS }
        : { type: "poisson", perUserPerS: ratePerS },
    },
    windowMs: 1000 * (options.windowS ?? defaults.windowS),
    chunkTokens,
    prefixTokens: defaults.prefixTokens,
    prefixPairs: repeats,
    interference: {
      ...{ numStreams: NUM_STREAMS, promptTokens, chunkTokens, rounds: repeats },
      longPromptTokens: defaults.longPromptTokens,
      quietTokens: defaults.quietTokens,
    },
  };
}

/**
 * Tokens of an answer when `numUsers` decode together: the first may be ahead of the last by a token
 * for each step that has a prompt.
 */
export function togetherTokens({ load, chunkTokens }: Workload, numUsers: number): number {
  const promptSteps = numUsers * load.promptTokens / (chunkTokens - numUsers + 1);
  return load.outputTokens + Math.ceil(promptSteps) + 2;
}

/** What a server needs to hold all of it. In tokens, but for `maxSequences`. */
export function capacityFor(workload: Workload) {
  const { users, load, chunkTokens, prefixTokens, interference } = workload;
  const { numStreams, promptTokens, longPromptTokens } = interference;
  const most = Math.max(...users);
  const together = load.promptTokens + togetherTokens(workload, most);
  const ofUser = Math.max(together, longest(load.promptTokens) + longest(load.outputTokens));
  const ofStream = promptTokens + streamTokens(interference);
  const needed = [
    most * ofUser,
    2 * pairLength(prefixTokens),
    numStreams * ofStream + longPromptTokens + 1,
  ];
  return {
    maxModelLength: Math.max(ofUser, pairLength(prefixTokens) + 1, longPromptTokens + 1, ofStream),
    // A fifth more for blocks that are not full and those kept back for running sequences.
    kvTokens: Math.ceil(1.2 * Math.max(...needed)),
    maxBatchTokens: chunkTokens,
    maxSequences: Math.max(most, numStreams + 1),
  };
}
