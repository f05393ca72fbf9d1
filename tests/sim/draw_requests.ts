import { BLOCK_SIZE, DEFAULT_SAMPLING, type SamplingParams } from "../../src/core.ts";
import type { StageLimits } from "../../src/stage/stage_limits.ts";
import { VOCAB_SIZE } from "../pipeline/hash_chain.ts";
import type { CancelPlan, RequestPlan } from "./plan.ts";
import { Reference } from "./reference.ts";
import type { SimRng } from "./rng.ts";

/** What requests are drawn for. */
interface Demand {
  readonly limits: StageLimits;
  readonly numLayers: number;
  readonly calmMs: number;
  readonly isLarge: boolean;
}

/** Requests of a few clients, whose prompts begin alike more often than not. */
export function drawRequests(rng: SimRng, demand: Demand): RequestPlan[] {
  const { calmMs, isLarge } = demand;
  const numRequests = isLarge ? rng.int(1, 3) : rng.chance(0.1) ? rng.int(20, 64) : rng.int(1, 20);
  const prompts = new PromptFamilies(rng.fork("prompts"), demand);
  const salts = ["", "", "a", "b"].slice(0, rng.int(1, 4));
  const burstMs = rng.between(0, calmMs * 0.7);
  return Array.from({ length: numRequests }, () => {
    const isBurst = rng.chance(0.4);
    const sampling = drawSampling(rng, demand);
    return {
      atMs: isBurst ? burstMs : rng.between(300, calmMs),
      promptTokenIds: prompts.draw(sampling),
      sampling,
      priority: rng.chance(0.3) ? "batch" as const : "interactive" as const,
      clientId: rng.pick(["", "ann", "bob"]),
      cacheSalt: rng.pick(salts),
      cancel: rng.chance(0.3) ? drawCancel(rng) : null,
      timeoutMs: rng.chance(0.1) ? rng.between(20, 8_000) : null,
      readEveryMs: rng.chance(0.15) ? rng.between(10, 400) : 0,
      isBurst,
    };
  });
}

function drawSampling(rng: SimRng, { isLarge }: Demand): SamplingParams {
  const isGreedy = rng.chance(0.4);
  const hasPenalties = rng.chance(0.25);
  return {
    ...DEFAULT_SAMPLING,
    maxTokens: isLarge ? rng.int(1, 40) : rng.small(1, rng.chance(0.1) ? 200 : 60),
    ...(!isGreedy && { temperature: rng.pick([0.5, 0.75, 1]), seed: rng.uint32() }),
    ...(!isGreedy && rng.chance(0.5) && { topP: 0.75, topK: 40, minP: 0.25 }),
    ...(hasPenalties && { presencePenalty: 0.5, frequencyPenalty: 0.25, repetitionPenalty: 1.25 }),
    stopTokenIds: rng.chance(0.4)
      ? Array.from({ length: rng.int(1, 3) }, () => rng.int(0, VOCAB_SIZE - 1))
      : [],
  };
}

function drawCancel(rng: SimRng): CancelPlan {
  const how = rng.pick(["signal", "return"] as const);
  const kind = rng.float();
  if (kind < 0.3) return { afterTokens: null, afterMs: rng.between(0, 3_000), how };
  // Between tokens, before the first one, or at the very last ones.
  const afterTokens = kind < 0.6 ? rng.int(0, 8) : kind < 0.75 ? 0 : -rng.int(0, 2);
  return { afterTokens, afterMs: null, how };
}

/** Prompts that share prefixes: families, chats that go on, and the same one twice. */
class PromptFamilies {
  readonly #rng: SimRng;
  readonly #demand: Demand;
  readonly #bases: readonly (readonly number[])[];
  /** Prompts so far, with what a model answers. */
  readonly #chats: number[][] = [];

  constructor(rng: SimRng, demand: Demand) {
    this.#rng = rng;
    this.#demand = demand;
    const { maxModelLength } = demand.limits;
    this.#bases = Array.from({ length: rng.int(1, 3) }, () => this.#tokens(maxModelLength));
  }

  draw(sampling: SamplingParams): readonly number[] {
    const { limits, numLayers, isLarge } = this.#demand;
    const { maxModelLength } = limits;
    let prompt = this.#shape(this.#rng.float());
    if (isLarge && this.#rng.chance(0.5)) prompt = this.#rng.pick(this.#bases).slice(0, 3_000);
    // Now and then one that can never run.
    const isRefused = this.#rng.chance(0.02);
    const most = isRefused ? Infinity : maxModelLength - 1;
    prompt = prompt.slice(0, Math.max(1, Math.min(prompt.length, most)));
    if (isRefused) prompt = this.#rng.chance(0.3) ? [] : this.#tokens(maxModelLength + 5);
    if (prompt.length > 0 && prompt.length < maxModelLength) {
      const hasState = limits.numSavedStates > 0;
      const reference = new Reference({
        ...{ promptTokenIds: prompt, sampling, numLayers, maxModelLength, hasState },
      });
      reference.reach(40);
      this.#chats.push([...prompt, ...reference.tokenIds]);
    }
    return prompt;
  }

  #shape(kind: number): number[] {
    const rng = this.#rng;
    const { maxModelLength } = this.#demand.limits;
    const base = rng.pick(this.#bases);
    const anyLength = rng.chance(0.4)
      ? rng.int(1, maxModelLength - 1)
      : rng.small(1, maxModelLength - 1);
    if (kind < 0.15) return this.#tokens(anyLength);
    if (kind < 0.4) return base.slice(0, anyLength);
    if (kind < 0.6) return base.slice(0, BLOCK_SIZE * rng.int(1, Math.max(1, anyLength >> 4)));
    if (kind < 0.8 || this.#chats.length === 0) {
      return [...base.slice(0, anyLength), ...this.#tokens(rng.int(1, 20))];
    }
    // The next turn of a chat, or the same turn again.
    const chat = rng.pick(this.#chats);
    return kind < 0.95 ? [...chat, ...this.#tokens(rng.int(1, 10))] : chat.slice(0, -rng.int(0, 3));
  }

  #tokens(length: number): number[] {
    return Array.from({ length }, () => this.#rng.int(0, VOCAB_SIZE - 1));
  }
}
