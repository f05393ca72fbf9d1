/** What SmolLM2 says greedily, from a mesh and from transformers. */
import { expect } from "vitest";
import { readEvents } from "../../src/cli/sse_events.ts";
import expected from "../fixtures/smollm2/expected.json" with { type: "json" };
import type { CoordinatorProcess } from "../mesh/processes.ts";

/** A prompt, and the text of the 64 tokens that follow it, special ones included. */
export interface GreedyCase {
  readonly name: string;
  readonly promptIds: readonly number[];
  readonly text: string;
}

/** Transformers' tokens, to which tests/smollm2.test.ts holds one process on one device. */
export const GREEDY_CASES: readonly GreedyCase[] = expected.greedy.map(
  ({ name, promptIds, greedyText }) => ({ name, promptIds, text: greedyText }),
);

/** Those of the shortest prompts, for peers that imitate their GPU. */
export const FIVE_CASES: readonly GreedyCase[] = [...GREEDY_CASES]
  .sort((a, b) => a.promptIds.length - b.promptIds.length).slice(0, 5);

const NUM_TOKENS = 64;

/** How much is asked for, and who hears the text so far. */
export interface StreamOptions {
  readonly numTokens?: number;
  readonly onText?: (text: string) => void;
}

/** Streams greedy tokens. Throws what the server says when the stream fails or ends early. */
export async function streamGreedy(
  coordinator: CoordinatorProcess,
  { promptIds }: Pick<GreedyCase, "promptIds">,
  { numTokens = NUM_TOKENS, onText }: StreamOptions = {},
): Promise<string> {
  const response = await coordinator.fetch("/v1/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      prompt: promptIds,
      max_tokens: numTokens,
      temperature: 0,
      ignore_eos: true,
      skip_special_tokens: false,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  let text = "";
  let numGot = 0;
  for await (const event of readEvents(response)) {
    const { choices = [], usage, error } = JSON.parse(event);
    if (error) throw new Error(error.message);
    text += choices[0]?.text ?? "";
    numGot = usage?.completion_tokens ?? numGot;
    onText?.(text);
  }
  if (numGot !== numTokens) throw new Error(`The stream ended after ${numGot} tokens`);
  return text;
}

/** Holds the mesh to the texts of all `cases`, asked for at once. */
export async function expectGreedy(
  coordinator: CoordinatorProcess,
  cases: readonly GreedyCase[],
  options: StreamOptions = {},
): Promise<void> {
  const texts = await Promise.all(
    cases.map((greedy) => streamGreedy(coordinator, greedy, options)),
  );
  expectTexts(texts, cases, options);
}

/** Holds texts of `numTokens` tokens to the beginnings of what is expected. */
export function expectTexts(
  texts: readonly string[],
  cases: readonly GreedyCase[],
  { numTokens = NUM_TOKENS }: Pick<StreamOptions, "numTokens"> = {},
): void {
  const wanted = cases.map(({ text }, i) =>
    numTokens === NUM_TOKENS ? text : text.slice(0, texts[i]!.length)
  );
  expect(texts).toEqual(wanted);
}
