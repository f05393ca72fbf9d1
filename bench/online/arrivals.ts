import { SeededRandom } from "./seeded_random.ts";

/** When a user sends the next request. */
export type Arrivals =
  /** Once the last one was answered, after a think time: exponential with this mean. */
  | { readonly type: "closed"; readonly thinkMs: number }
  /** Whether or not the last one was answered: a Poisson process of this rate for each user. */
  | { readonly type: "poisson"; readonly perUserPerS: number };

/** What the requests of a load have in common. Lengths in tokens, on average. */
export interface Load {
  readonly seed: number;
  readonly arrivals: Arrivals;
  readonly promptTokens: number;
  readonly outputTokens: number;
  /** Prompts are of the ids [0, vocabSize), without the first few, which often mean something. */
  readonly vocabSize: number;
}

/** A request before it is sent. */
export interface PlannedRequest {
  /** After the last answer, or after the last arrival, as `Arrivals` has it. */
  readonly waitMs: number;
  readonly promptTokenIds: readonly number[];
  readonly maxTokens: number;
}

/** Lengths are up to this share of the average off it. */
const SPREAD = 0.25;
const FIRST_PLAIN_ID = 256;

/**
 * The requests of one user, drawn one after the other. A user's first answer is cut to a random part,
 * so that users who start together do not go on in step.
 */
export class UserRequests {
  readonly #load: Load;
  readonly #random: SeededRandom;
  #isFirst = true;

  constructor(load: Load, user: number) {
    this.#load = load;
    this.#random = new SeededRandom(load.seed, user);
  }

  next(): PlannedRequest {
    const { arrivals, promptTokens, outputTokens, vocabSize } = this.#load;
    const meanMs = arrivals.type === "closed" ? arrivals.thinkMs : 1000 / arrivals.perUserPerS;
    const waitMs = this.#random.exponential(meanMs);
    const prompt = randomPrompt(this.#random, { length: this.#around(promptTokens), vocabSize });
    const fullLength = this.#around(outputTokens);
    const maxTokens = this.#isFirst ? this.#random.integer(1, fullLength + 1) : fullLength;
    this.#isFirst = false;
    return { waitMs, promptTokenIds: prompt, maxTokens };
  }

  #around(average: number): number {
    return this.#random.integer(Math.ceil(average * (1 - SPREAD)), longest(average) + 1);
  }
}

/** The most that a length with this average comes to. */
export function longest(average: number): number {
  return Math.floor(average * (1 + SPREAD));
}

/** Token ids without meaning. */
export function randomPrompt(
  random: SeededRandom,
  { length, vocabSize }: { readonly length: number; readonly vocabSize: number },
): number[] {
  const firstId = Math.min(FIRST_PLAIN_ID, vocabSize - 1);
  return Array.from({ length }, () => random.integer(firstId, vocabSize));
}
