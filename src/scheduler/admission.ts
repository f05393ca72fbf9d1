import type { SamplingParams } from "../core.ts";
import { longestSequence, type SchedulerOptions } from "./options.ts";

/** A sequence was not taken in, because it asks for what can never run. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  /** HTTP status that fits. */
  readonly status = 400;
  /** What kind of refusal, in OpenAI's words where they have one. */
  readonly code: "context_length_exceeded" | "invalid_value";

  /** `message` names the limit and the way out. */
  constructor(code: RefusedError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** Throws a RefusedError when such a sequence could never run, however long it waited. */
export function checkAdmission(
  { promptTokenIds, sampling, options }: {
    readonly promptTokenIds: readonly number[];
    readonly sampling: SamplingParams;
    readonly options: SchedulerOptions;
  },
): void {
  if (promptTokenIds.length === 0) {
    throw new RefusedError("invalid_value", "The prompt is empty: send at least one token");
  }
  if (!Number.isInteger(sampling.maxTokens) || sampling.maxTokens < 1) {
    throw new RefusedError(
      "invalid_value",
      `maxTokens must be a positive integer, got "${sampling.maxTokens}"`,
    );
  }
  const maxLength = longestSequence(options);
  if (promptTokenIds.length < maxLength) return;
  const [limit, fix] = maxLength < options.maxModelLength
    ? [`the KV pool of ${options.numBlocks} blocks holds`, "shorten it or enlarge the pool"]
    : ["the model takes", "shorten it"];
  throw new RefusedError(
    "context_length_exceeded",
    `The prompt has ${promptTokenIds.length} tokens, but ${limit} ${maxLength} including at ` +
      `least one of output: ${fix}`,
  );
}
