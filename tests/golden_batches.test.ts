/**
 * Every golden checkpoint, run in more ways than one: cut at any layer, and among other sequences,
 * with the same bits by deterministic kernels; in chunks of any size, with the same numbers by the
 * fast ones. Deterministic chunks are in verify.test.ts.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Batch, BLOCK_SIZE, DEFAULT_SAMPLING, type Shard } from "../src/core.ts";
import { openGoldenCase } from "../src/golden.ts";
import { defaultTuning } from "../src/kernels/tuning.ts";
import { largestDifference } from "../src/layer_check.ts";
import { architectureOf } from "../src/models/registry.ts";
import { Pipeline } from "../src/pipeline/pipeline.ts";
import { FileStore } from "../src/platform/file_store.ts";
import { LocalStage } from "../src/stage/local_stage.ts";
import { openTestGpu } from "./kernels/gpu.ts";
import { Random } from "./kernels/random.ts";

const GOLDEN = "tests/golden";
/** Checkpoints as hub repositories keep them; GGUF files hold the same ones again. */
const CASES = readdirSync(GOLDEN).sort()
  .filter((name) => existsSync(`${GOLDEN}/${name}/config.json`));
/** The first of each `model_type`: software adapters take a minute for fast kernels of new shapes. */
const FAST_CASES = CASES.filter((name, i) =>
  CASES.findIndex((other) => modelTypeOf(other) === modelTypeOf(name)) === i
);
const MAX_TOKENS = 45;
const CHUNKS = [1, 7, 16, MAX_TOKENS];
/** Between logits of two runs in f32. */
const FAST_TOLERANCE = 1e-4;
const NUM_SEQUENCES = 4;
const BLOCKS_PER_SEQUENCE = Math.ceil(MAX_TOKENS / BLOCK_SIZE);
const LIMITS = {
  numBlocks: NUM_SEQUENCES * BLOCKS_PER_SEQUENCE,
  maxModelLength: 64,
  maxBatchTokens: NUM_SEQUENCES * MAX_TOKENS,
  maxSequences: NUM_SEQUENCES,
  maxSamples: NUM_SEQUENCES * MAX_TOKENS,
};

const { context } = await openTestGpu();

describe.each(CASES)("%s", (name) => {
  let model: Model;
  let alone: Pipeline;
  let whole: Float32Array;
  beforeAll(async () => {
    model = await openModel(name);
    alone = await pipelineOf(model, { cuts: [], isDeterministic: true });
    whole = await prefill(alone, model.text, MAX_TOKENS);
    expect(whole.some((logit) => logit !== 0)).toBe(true);
  });
  afterAll(async () => {
    alone.close();
    await model.source.close();
  });

  test("two stages, cut at any layer, give the bits of one", async () => {
    for (let cut = 1; cut < model.config.numLayers; cut++) {
      const pipeline = await pipelineOf(model, { cuts: [cut], isDeterministic: true });
      const logits = await prefill(pipeline, model.text, MAX_TOKENS);
      pipeline.close();
      expect(numDifferent(logits, whole), `cut at layer ${cut}`).toBe(0);
    }
  });

  test("sequences at different positions of one batch have the bits of single runs", async () => {
    const random = new Random(7);
    const texts = [model.text, model.text.toReversed(), model.text.slice(9, 34), model.short];
    const expected: Float32Array[] = [];
    for (const text of texts) expected.push(await prefill(alone, text, MAX_TOKENS));
    const { found, batches } = await runTogether(alone, texts, random);
    for (const [i, logits] of found.entries()) {
      expect(numDifferent(logits, expected[i]!), `sequence ${i}`).toBe(0);
    }
    const mixed = batches.filter(({ slices }) =>
      new Set(slices.map((slice) => slice.startPosition)).size > 1 &&
      slices.some((slice) => slice.tokenIds.length === 1) &&
      slices.some((slice) => slice.tokenIds.length > 1)
    );
    expect(mixed.length).toBeGreaterThan(2);
  });
});

test.each(FAST_CASES)(
  "%s: fast kernels give the same logits for chunks of any size",
  async (name) => {
    const model = await openModel(name);
    const runs: Float32Array[] = [];
    for (const isDeterministic of [true, false]) {
      const pipeline = await pipelineOf(model, { cuts: [], isDeterministic });
      for (const chunk of isDeterministic ? [MAX_TOKENS] : CHUNKS) {
        runs.push(await prefill(pipeline, model.text, chunk));
      }
      pipeline.close();
    }
    const [deterministic] = runs as [Float32Array];
    // One token of qwen3-next has heads with next to no output, which a norm then divides by: there
    // the f32 logits of transformers differ by 1e-3 between two of its ways to run experts. Runs may
    // differ by as much as another implementation does from ours.
    const tolerances = rowDifferences(deterministic, model.logits)
      .map((difference) => Math.max(FAST_TOLERANCE, difference));
    for (const [i, run] of runs.entries()) {
      for (const other of runs.slice(0, i)) {
        const tooFar = rowDifferences(run, other).map((difference, row) =>
          difference / tolerances[row]!
        )
          .filter((share) => !(share <= 1));
        expect(tooFar, `chunks of ${CHUNKS[i - 1]}`).toEqual([]);
      }
    }
    expect(tolerances.filter((tolerance) => tolerance > FAST_TOLERANCE).length).toBeLessThan(3);
    await model.source.close();
  },
);

type Model = Awaited<ReturnType<typeof openModel>>;

async function openModel(name: string) {
  const { source, inputs } = await openGoldenCase(new FileStore(`${GOLDEN}/${name}`), name);
  const architecture = architectureOf(source.hfConfig);
  const config = architecture.readConfig(source.hfConfig);
  const [short, text] = inputs.map(({ inputIds }) => inputIds) as [number[], number[]];
  return { source, architecture, config, short, text, logits: inputs[1]!.logits };
}

function modelTypeOf(name: string): string {
  const config = JSON.parse(readFileSync(`${GOLDEN}/${name}/config.json`, "utf8"));
  return (config.text_config ?? config).model_type;
}

/** The model's layers, cut before each layer of `cuts`. */
async function pipelineOf(
  { source, architecture, config }: Model,
  { cuts, isDeterministic }: {
    readonly cuts: readonly number[];
    readonly isDeterministic: boolean;
  },
): Promise<Pipeline> {
  const ends = [...cuts, config.numLayers];
  const shards = ends.map((endLayer, i): Shard => ({
    startLayer: ends[i - 1] ?? 0,
    endLayer,
    hasEmbedding: i === 0,
    hasHead: i === ends.length - 1,
  }));
  const tuning = defaultTuning(context.capabilities, { isDeterministic, useF16Kv: false });
  const limits = { ...LIMITS, numSavedStates: config.linear ? 1 : 0 };
  const stages: LocalStage[] = [];
  for (const shard of shards) {
    const options = { context, tuning, architecture, config, source, shard, limits };
    stages.push(await LocalStage.load(options));
  }
  return new Pipeline({ stages, numLayers: config.numLayers });
}

/** Logits of every position of one sequence, computed `chunk` tokens at a time. */
async function prefill(
  pipeline: Pipeline,
  text: readonly number[],
  chunk: number,
): Promise<Float32Array> {
  const parts: Float32Array[] = [];
  for (let start = 0; start < text.length; start += chunk) {
    const slice = sliceOf(text, { slot: 0, start, end: Math.min(start + chunk, text.length) });
    const [output] = await pipeline.forward({ stepId: start, slices: [slice] });
    parts.push(output!.logits!);
  }
  return joined(parts);
}

/** Logits of every position of each text; each step takes some tokens of some, in any order. */
async function runTogether(
  pipeline: Pipeline,
  texts: readonly (readonly number[])[],
  random: Random,
): Promise<{ found: Float32Array[]; batches: Batch[] }> {
  const parts: Float32Array[][] = texts.map(() => []);
  const positions = texts.map(() => 0);
  const batches: Batch[] = [];
  while (texts.some((text, i) => positions[i]! < text.length)) {
    const slices = random.shuffled([...texts.keys()]).flatMap((slot) => {
      const [text, start] = [texts[slot]!, positions[slot]!];
      if (start === text.length || random.below(5) === 0) return [];
      const wanted = random.below(2) === 0 ? 1 : 1 + random.below(16);
      positions[slot] = Math.min(start + wanted, text.length);
      return [sliceOf(text, { slot, start, end: positions[slot]! })];
    });
    if (slices.length === 0) continue;
    const batch = { stepId: batches.length, slices };
    batches.push(batch);
    for (const output of await pipeline.forward(batch)) {
      parts[output.sequenceId]!.push(output.logits!);
    }
  }
  return { found: parts.map(joined), batches };
}

/** Tokens [start, end) of a text in `slot`, whose blocks are in no order that a kernel could guess. */
function sliceOf(
  text: readonly number[],
  { slot, start, end }: { readonly slot: number; readonly start: number; readonly end: number },
): Batch["slices"][number] {
  const lastBlock = BLOCKS_PER_SEQUENCE - 1;
  return {
    ...{ sequenceId: slot, slot, startPosition: start },
    tokenIds: Uint32Array.from(text.slice(start, end)),
    blockTable: Uint32Array.from(
      { length: Math.ceil(end / BLOCK_SIZE) },
      (_, i) => slot + NUM_SEQUENCES * (lastBlock - i),
    ),
    sample: { ...DEFAULT_SAMPLING, tokenIndex: 0, wantsLogits: true },
  };
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

/** Logits whose bits differ. */
function numDifferent(found: Float32Array, expected: Float32Array): number {
  expect(found.length).toBe(expected.length);
  const bits = new Uint32Array(expected.buffer, expected.byteOffset, expected.length);
  return new Uint32Array(found.buffer, found.byteOffset, found.length)
    .filter((word, i) => word !== bits[i]).length;
}

/** The largest difference of a logit of each of the MAX_TOKENS positions. */
function rowDifferences(found: Float32Array, expected: Float32Array): number[] {
  expect(found.length).toBe(expected.length);
  const vocabSize = expected.length / MAX_TOKENS;
  return Array.from({ length: MAX_TOKENS }, (_, row) => {
    const [start, end] = [row * vocabSize, (row + 1) * vocabSize];
    return largestDifference(found.subarray(start, end), expected.subarray(start, end));
  });
}
