import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { type GoldenCase, openGoldenCase } from "../src/golden.ts";
import { defaultTuning, type Tuning } from "../src/kernels/tuning.ts";
import { loadLocalPipeline } from "../src/local_pipeline.ts";
import { FileStore } from "../src/platform/file_store.ts";
import { systemClock } from "../src/platform/system.ts";
import { localTarget, verifyCase } from "../src/verify.ts";
import { openTestGpu } from "./kernels/gpu.ts";

const CASES = [
  ...["llama", "llama-rope3-tied", "mistral", "qwen2", "qwen3"],
  ...["qwen3-moe", "mixtral", "minimax-m2", "glm4-moe"],
  ...["gemma3", "gpt-oss"],
  ...["deepseek-v2", "deepseek-v3"],
  ...["qwen3-next", "qwen3-next-dense"],
];
/** Other settings of a family, whose fast kernels one checkpoint has tried. */
const SETTINGS = [
  ...["qwen3-moe-mixed", "mixtral-window", "minimax-m2-rotary", "glm4-moe-groups"],
  ...["gemma3-bias", "gemma3-multimodal", "gpt-oss-other"],
  ...["deepseek-v2-groups", "deepseek-v3-halves"],
  ...["qwen3-next-mixed"],
];
const TOLERANCE = 2e-3;

const { context } = await openTestGpu();

function golden(name: string): Promise<GoldenCase> {
  return openGoldenCase(new FileStore(`tests/golden/${name}`), name);
}

/** Layers are compared one by one, however many stages there are: once is enough. */
async function withoutHidden(name: string): Promise<GoldenCase> {
  const { source, inputs } = await golden(name);
  return { source, inputs: inputs.map((input) => ({ ...input, hidden: new Map() })) };
}

function tuning(chosen: Partial<Tuning>): Tuning {
  return defaultTuning(context.capabilities, { useF16Kv: false, ...chosen });
}

for (const name of [...CASES, ...SETTINGS]) {
  for (const numStages of [1, 3]) {
    test(`${name} equals transformers on ${numStages} stages, deterministic`, async () => {
      const target = localTarget({
        ...{ context, numStages },
        tuning: tuning({ isDeterministic: true }),
      });
      const report = await verifyCase(
        name,
        { target, tolerance: TOLERANCE, clock: systemClock },
        () => numStages === 1 ? golden(name) : withoutHidden(name),
      );
      expect(report).toMatchObject({ ok: true, greedyMatch: true, fault: null, stages: numStages });
      if (numStages === 1) expect(report.hiddenErrors).not.toContain(null);
    });
  }

  test(`${name}: three stages give the bits of one, and so does any cut of the prompt`, async () => {
    const whole = await logitsOf(name, { numStages: 1, chunk: 64 });
    expect(whole.some((bits) => bits !== 0)).toBe(true);
    for (const chunk of [64, 1, 7, 16]) {
      expect(await logitsOf(name, { numStages: 3, chunk })).toEqual(whole);
    }
  });
}

for (const name of CASES) {
  test(`${name} equals transformers with the fast kernels`, async () => {
    const target = localTarget({
      ...{ context, numStages: 1 },
      tuning: tuning({ isDeterministic: false }),
    });
    const options = { target, tolerance: TOLERANCE, clock: systemClock };
    const report = await verifyCase(name, options, () => golden(name));
    expect(report).toMatchObject({ ok: true, greedyMatch: true, fault: null });
  });
}

/** Checkpoints in GGUF files. */
const GGUF_FILES = ["mixtral-gguf", "qwen3-moe-gguf", "gemma3-gguf"];

test("no case is left out", () => {
  const folders = readdirSync("tests/golden", { withFileTypes: true })
    .filter((entry) => entry.isDirectory()).map(({ name }) => name);
  expect([...CASES, ...SETTINGS, ...GGUF_FILES].sort()).toEqual(folders.sort());
});

for (const name of GGUF_FILES) {
  test(`${name} equals transformers on what its file holds`, async () => {
    const target = localTarget({
      context,
      tuning: tuning({ isDeterministic: true }),
      numStages: 2,
    });
    const options = { target, tolerance: TOLERANCE, clock: systemClock };
    const report = await verifyCase(name, options, () => golden(name));
    expect(report).toMatchObject({ ok: true, greedyMatch: true, stages: 2 });
  });
}

test("more stages than layers are as many as layers", async () => {
  const target = localTarget({ context, tuning: tuning({}), numStages: 9 });
  const options = { target, tolerance: TOLERANCE, clock: systemClock };
  expect(await verifyCase("llama", options, () => golden("llama"))).toMatchObject({
    ok: true,
    stages: 3,
  });
});

test("a wrong weight fails the verification", async () => {
  const target = localTarget({ context, tuning: tuning({}), numStages: 1 });
  const options = { target, tolerance: TOLERANCE, clock: systemClock };
  const report = await verifyCase("llama", options, async () => {
    const { source, inputs } = await golden("llama");
    return {
      inputs,
      source: {
        ...source,
        hfConfig: source.hfConfig,
        tensors: source.tensors,
        readTensor: async (tensor, range) => {
          const bytes = await source.readTensor(tensor, range);
          if (tensor === "model.layers.1.mlp.down_proj.weight") bytes.fill(0, 0, 512);
          return bytes;
        },
      },
    };
  });
  expect(report.ok).toBe(false);
  expect(report.maxAbsError).toBeGreaterThan(TOLERANCE);
});

test("an architecture that is not supported fails and says so", async () => {
  const target = localTarget({ context, tuning: tuning({}), numStages: 1 });
  const options = { target, tolerance: TOLERANCE, clock: systemClock };
  const report = await verifyCase("other", options, async () => {
    const { source, inputs } = await golden("llama");
    return { inputs, source: { ...source, hfConfig: { model_type: "mamba" } } };
  });
  expect(report).toMatchObject({ ok: false, maxAbsError: null });
  expect(report.error).toContain('"mamba" is not supported');
});

/** Bits of the logits of the longer golden input, prefilled in chunks. */
async function logitsOf(
  name: string,
  { numStages, chunk }: { readonly numStages: number; readonly chunk: number },
): Promise<Uint32Array> {
  const { source, inputs } = await golden(name);
  const inputIds = inputs[1]!.inputIds;
  const limits = {
    numBlocks: 8,
    maxModelLength: 64,
    maxBatchTokens: 64,
    maxSequences: 1,
    maxSamples: 64,
  };
  const { pipeline, config } = await loadLocalPipeline({
    ...{ context, tuning: tuning({ isDeterministic: true }), source, numStages },
    limits: ({ linear }) => ({ ...limits, numSavedStates: linear ? 1 : 0 }),
  });
  const bits = new Uint32Array(inputIds.length * config.vocabSize);
  for (let start = 0; start < inputIds.length; start += chunk) {
    const tokenIds = Uint32Array.from(inputIds.slice(start, start + chunk));
    const numBlocks = Math.ceil((start + tokenIds.length) / 16);
    const [output] = await pipeline.forward({
      stepId: start,
      slices: [{
        sequenceId: 1,
        slot: 0,
        startPosition: start,
        tokenIds,
        // Not in order, so that a kernel which ignores the table fails.
        blockTable: Uint32Array.from({ length: numBlocks }, (_, i) => 7 - i),
        sample: {
          temperature: 0,
          topP: 1,
          topK: 0,
          minP: 0,
          seed: 0,
          tokenIndex: 0,
          wantsLogits: true,
        },
      }],
    });
    bits.set(new Uint32Array(output!.logits!.buffer), start * config.vocabSize);
  }
  pipeline.close();
  await source.close();
  return bits;
}
