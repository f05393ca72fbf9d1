import { expect, test } from "vitest";
import type { Batch, ModelConfig, Shard } from "../../src/core.ts";
import { knownBatchProblem } from "../../src/stage/known_batch.ts";
import type { StageOutput } from "../../src/stage/stage.ts";

const MIDDLE: Shard = { startLayer: 1, endLayer: 2, hasEmbedding: false, hasHead: false };
const LAST: Shard = { startLayer: 1, endLayer: 2, hasEmbedding: false, hasHead: true };
const CONFIG = { hiddenSize: 8, vocabSize: 5 } as ModelConfig;
const LIMITS = {
  numBlocks: 4,
  maxModelLength: 64,
  maxBatchTokens: 64,
  maxSequences: 1,
  numSavedStates: 0,
  maxSamples: 64,
};

/** `run` is 0 for the first time of a batch and 1 for the second. */
type Values = (hidden: Float32Array, run: number) => Float32Array;

/** What is wrong with a stage that hands on `values` of its input. */
function problemOf(values: Values, { isDeterministic = true } = {}): Promise<string | null> {
  const seen = new Set<number>();
  const forward = ({ stepId }: Batch, hidden: Float32Array | null): Promise<StageOutput> => {
    const run = seen.has(stepId) ? 1 : 0;
    seen.add(stepId);
    return Promise.resolve({ type: "hidden", values: values(hidden!.slice(), run) });
  };
  const stage = { shard: MIDDLE, forward, close: () => {} };
  return knownBatchProblem(stage, { config: CONFIG, limits: LIMITS, isDeterministic });
}

/** The same of a last stage that draws `tokenId` from equal logits but for token 2's. */
function tokenProblem(tokenId: number): Promise<string | null> {
  const forward = (batch: Batch): Promise<StageOutput> => {
    const [slice] = batch.slices;
    const logits = new Float32Array(slice!.tokenIds.length * CONFIG.vocabSize);
    logits[logits.length - CONFIG.vocabSize + 2] = 1;
    return Promise.resolve({ type: "tokens", tokens: [{ sequenceId: 0, tokenId, logits }] });
  };
  const stage = { shard: LAST, forward, close: () => {} };
  return knownBatchProblem(stage, { config: CONFIG, limits: LIMITS, isDeterministic: true });
}

function with0(values: Float32Array, value: number): Float32Array {
  values[0] = value;
  return values;
}

test("a stage that computes passes, with hidden states of RMS 1", async () => {
  expect(await problemOf((hidden) => hidden)).toBeNull();
  const squares: number[] = [];
  await problemOf((hidden) => {
    squares.push(hidden.reduce((sum, value) => sum + value ** 2, 0) / hidden.length);
    return hidden;
  }, { isDeterministic: false });
  expect(Math.sqrt(squares[0]!)).toBeGreaterThan(0.9);
  expect(Math.sqrt(squares[0]!)).toBeLessThan(1.1);
});

test.each(
  [
    ["NaN", (hidden) => with0(hidden, NaN), "element 0 of the output is NaN"],
    ["infinity", (hidden) => with0(hidden, -Infinity), "element 0 of the output is -Infinity"],
    ["nothing but zeros", (hidden) => hidden.fill(0), "all of the output is alike"],
    ["no output", () => new Float32Array(0), "all of the output is alike"],
    [
      "another bit the next time",
      (hidden, run) => with0(hidden, run === 0 ? 1 : 1 + 2 ** -20),
      "element 0 of the output is 1 once and",
    ],
    ["less the next time", (hidden, run) => hidden.subarray(run), "next time"],
  ] as const satisfies readonly [string, Values, string][],
)("%s is a problem", async (_, values, text) => {
  expect(await problemOf(values)).toContain(text);
});

test("runs that need not be deterministic may differ a little, not more", async () => {
  const differing = (error: number): Values => (hidden, run) => with0(hidden, 1 + run * error);
  const fast = { isDeterministic: false };
  expect(await problemOf(differing(1e-4), fast)).toBeNull();
  expect(await problemOf(differing(1e-2), fast)).toContain("the next time");
});

test("the drawn token is the one with the highest logit", async () => {
  expect(await tokenProblem(2)).toBeNull();
  expect(await tokenProblem(3)).toContain("token 3 was drawn, whose logit is not the highest");
  expect(await tokenProblem(5)).toContain("token 5 was drawn");
});
