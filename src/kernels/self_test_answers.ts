/**
 * The cases of the self-test: small operands, and what the kernels must make of them, computed here
 * in f64. Inputs are multiples of 1/64, so that f16 holds them exactly.
 *
 * @module
 */
import { BLOCK_SIZE } from "../core.ts";
import type { Dispatch } from "../gpu/dispatch.ts";
import type { Weight } from "../gpu/weight.ts";
import { attentionDecode } from "./attention_decode.ts";
import { attentionPrefill } from "./attention_prefill.ts";
import type { KernelContext } from "./context.ts";
import { embed } from "./embed.ts";
import { kvBytes } from "./kv_cache.ts";
import { kvStore } from "./kv_store.ts";
import { matmul } from "./matmul.ts";
import { matvec } from "./matvec.ts";
import { rmsNorm } from "./rms_norm.ts";
import { packSampleParams, sample } from "./sample.ts";
import type { SelfTestBench } from "./self_test_bench.ts";
import { siluMul } from "./silu_mul.ts";

/** One kernel's output and what it must be. */
export interface KnownAnswer {
  /** The kernel and its variant, for messages. */
  readonly name: string;
  readonly dispatches: readonly Dispatch[];
  readonly output: GPUBuffer;
  readonly expected: Expected;
  /** The output is u32. */
  readonly isInteger?: boolean;
}

/** Makes the cases of one round; buffers come from `bench`. */
export type KnownAnswers = (bench: SelfTestBench, kernels: KernelContext) => Promise<KnownAnswer[]>;

interface Expected {
  readonly values: readonly number[];
  readonly bounds: readonly number[];
}

const TOKENS = 3;

/** The step uniform of every case. */
export const SELF_TEST_STEP = new Uint32Array([TOKENS, 1, TOKENS, 1]);

/** Roundings of f32 over the few additions here, relative to what is added. */
const F32_ERROR = 1e-5;
/** Two factors rounded to f16, in either direction. */
const F16_ERROR = 2 ** -9;

/** Everything that cannot be turned off. */
export async function baselineAnswers(bench: SelfTestBench, kernels: KernelContext) {
  const { isDeterministic, sliceFewTokens } = kernels.tuning;
  const unsliced = { ...kernels, tuning: { ...kernels.tuning, sliceFewTokens: false } };
  return [
    await embedAnswer(bench, kernels),
    ...await workgroupSumAnswers(bench, kernels),
    await projectionAnswer(bench, kernels, { kernel: matvec, format: "f32", error: F32_ERROR }),
    await projectionAnswer(bench, kernels, { kernel: matvec, format: "q8_0", error: F32_ERROR }),
    await siluAnswer(bench, kernels),
    await attentionAnswer(bench, kernels, "decode"),
    await sampleAnswer(bench, kernels),
    // What deterministic runs never use.
    ...isDeterministic ? [] : [
      await projectionAnswer(bench, unsliced, { kernel: matmul, format: "q4_0", error: F32_ERROR }),
      ...sliceFewTokens
        ? [
          await projectionAnswer(bench, kernels, {
            kernel: matmul,
            format: "q4_0",
            error: F32_ERROR,
          }),
        ]
        : [],
      await attentionAnswer(bench, kernels, "prefill"),
    ],
  ];
}

/** Kernels that join sums of a workgroup, by subgroup operations where the tuning says so. */
export async function workgroupSumAnswers(bench: SelfTestBench, kernels: KernelContext) {
  return [
    await rmsNormAnswer(bench, kernels),
    await projectionAnswer(bench, kernels, { kernel: matvec, format: "q4_0", error: F32_ERROR }),
  ];
}

/** Kernels with tiles in f16. */
export async function tileAnswers(bench: SelfTestBench, kernels: KernelContext) {
  return [
    await projectionAnswer(bench, kernels, { kernel: matmul, format: "f32", error: F16_ERROR }),
  ];
}

/** Seven pseudo-random bits for each place. */
function bitsAt(place: number, salt: number): number {
  const mixed = Math.imul(place + 1, 0x9e3779b1) ^ Math.imul(salt, 0x85ebca6b);
  return Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) >>> 25;
}

/** Multiples of 1/64 in [-1, 1). */
function numbers(count: number, salt: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => (bitsAt(i, salt) - 64) / 64);
}

/** A random weight in the GPU layout of its format, and the value of each element. */
async function weightOf(bench: SelfTestBench, format: "f32" | "q4_0" | "q8_0") {
  const [numRows, numCols] = format === "f32" ? [5, 40] : [6, 64];
  const numElements = numRows * numCols;
  if (format === "f32") {
    const values = numbers(numElements, 1);
    return { weight: weightIn(await bench.upload(values), [0]), values };
  }
  const bits = format === "q4_0" ? 4 : 8;
  const perWord = 32 / bits;
  const quants = Uint32Array.from(
    { length: numElements / perWord },
    (_, i) => Math.imul(bitsAt(i, 2) + 1, 0x9e3779b1) >>> 0,
  );
  // f16 of exponent -5, two in a word.
  const factorAt = (block: number) => 0x2800 + bitsAt(block, 3) * 8;
  const scales = Uint32Array.from(
    { length: numElements / 64 },
    (_, i) => factorAt(2 * i) | factorAt(2 * i + 1) << 16,
  );
  const values = Float32Array.from({ length: numElements }, (_, i) => {
    const field = quants[Math.floor(i / perWord)]! >>> bits * (i % perWord);
    const quant = bits === 4 ? (field & 15) - 8 : field << 24 >> 24;
    return quant * 2 ** -5 * (1 + bitsAt(Math.floor(i / 32), 3) / 128);
  });
  const buffer = await bench.upload(Uint32Array.of(...quants, ...scales));
  return { weight: weightIn(buffer, [0, quants.length]), values };

  function weightIn(buffer: GPUBuffer, planeWords: number[]): Weight {
    return { numRows, numCols, parts: [{ format, startRow: 0, numRows, buffer, planeWords }] };
  }
}

async function embedAnswer(bench: SelfTestBench, kernels: KernelContext): Promise<KnownAnswer> {
  const { weight, values } = await weightOf(bench, "q8_0");
  const { numCols } = weight;
  const ids = [5, 0, 2];
  const output = await bench.output(TOKENS * numCols);
  const tokenIds = await bench.upload(Uint32Array.from(ids));
  const rows = ids.flatMap((id) => [...values.subarray(id * numCols, (id + 1) * numCols)]);
  return {
    name: "embed (q8_0)",
    dispatches: embed(kernels, { weight, tokenIds, out: output, numTokens: TOKENS }),
    output,
    expected: { values: rows, bounds: rows.map((value) => F32_ERROR * Math.abs(value)) },
  };
}

async function projectionAnswer(bench: SelfTestBench, kernels: KernelContext, test: {
  readonly kernel: typeof matvec | typeof matmul;
  readonly format: "f32" | "q4_0" | "q8_0";
  readonly error: number;
}): Promise<KnownAnswer> {
  const { weight, values } = await weightOf(bench, test.format);
  const { numRows, numCols } = weight;
  const x = numbers(TOKENS * numCols, 4);
  const output = await bench.output(TOKENS * numRows);
  const call = { weight, x: await bench.upload(x), y: output, numRows: TOKENS };
  const dispatches = test.kernel(kernels, call);
  const sums = Array.from({ length: TOKENS * numRows }, (_, at) => {
    const [row, token] = [at % numRows, Math.floor(at / numRows)];
    const products = Array.from(
      { length: numCols },
      (_, k) => values[row * numCols + k]! * x[token * numCols + k]!,
    );
    return { sum: total(products), magnitude: total(products.map(Math.abs)) };
  });
  return {
    name: `${dispatches[0]?.program.name} (${test.format})`,
    dispatches,
    output,
    expected: {
      values: sums.map(({ sum }) => sum),
      bounds: sums.map(({ magnitude }) => test.error * magnitude),
    },
  };
}

async function rmsNormAnswer(bench: SelfTestBench, kernels: KernelContext): Promise<KnownAnswer> {
  const numCols = 100;
  const x = numbers(TOKENS * numCols, 5);
  const weight = numbers(numCols, 6);
  const output = await bench.output(x.length);
  const call = { weight: await bench.upload(weight), x: await bench.upload(x), y: output };
  const values = [...x].map((value, at) => {
    const start = at - at % numCols;
    const squares = [...x.subarray(start, start + numCols)].map((other) => other * other);
    return value / Math.sqrt(total(squares) / numCols + 1e-5) * weight[at % numCols]!;
  });
  return {
    name: "rms_norm",
    dispatches: [rmsNorm(kernels, { ...call, eps: 1e-5, numCols, numRows: TOKENS })],
    output,
    expected: { values, bounds: values.map((value) => F32_ERROR * Math.abs(value)) },
  };
}

async function siluAnswer(bench: SelfTestBench, kernels: KernelContext): Promise<KnownAnswer> {
  const numCols = 20;
  const gateUp = numbers(TOKENS * 2 * numCols, 7).map((value) => value * 8);
  const output = await bench.output(TOKENS * numCols);
  const values = Array.from({ length: TOKENS * numCols }, (_, at) => {
    const start = Math.floor(at / numCols) * 2 * numCols + at % numCols;
    const gate = gateUp[start]!;
    return gate / (1 + Math.exp(-gate)) * gateUp[start + numCols]!;
  });
  const call = { gateUp: await bench.upload(gateUp), y: output, numCols, numTokens: TOKENS };
  return {
    name: "silu_mul",
    dispatches: [siluMul(kernels, call)],
    output,
    expected: { values, bounds: values.map((value) => F32_ERROR * Math.abs(value)) },
  };
}

/** Tokens at positions 0 to 2 of one sequence in block 1, two query heads over one KV head. */
async function attentionAnswer(
  bench: SelfTestBench,
  kernels: KernelContext,
  kernel: "decode" | "prefill",
): Promise<KnownAnswer> {
  const [numHeads, headDim, block] = [2, 16, 1];
  const stride = (numHeads + 2) * headDim;
  const qkv = numbers(TOKENS * stride, 8);
  const shape = { numKvHeads: 1, headDim, isF16: kernels.tuning.useF16Kv };
  const numWords = kvBytes(shape, block + 1) / 4;
  const cache = { ...shape, k: await bench.output(numWords), v: await bench.output(numWords) };
  const positions = Array.from({ length: TOKENS }, (_, position) => position);
  const tokenRows = await bench.upload(
    Uint32Array.from(positions.flatMap((position) => [position, 0, block * BLOCK_SIZE + position])),
  );
  const rows = await bench.upload(qkv);
  const store = { cache, tokenRows, qkv: rows, stride, keyOffset: numHeads * headDim };
  const output = await bench.output(TOKENS * numHeads * headDim);
  const call = {
    cache,
    blockTables: await bench.upload(Uint32Array.of(block)),
    maxBlocks: 1,
    qkv: rows,
    stride,
    out: output,
    numHeads,
    scale: 1 / Math.sqrt(headDim),
    window: null,
  };
  const attention = kernel === "decode"
    ? attentionDecode(kernels, {
      ...call,
      tokenRows,
      decodeRows: await bench.upload(Uint32Array.from(positions)),
      numRows: TOKENS,
    })
    : attentionPrefill(kernels, {
      ...call,
      tiles: await bench.upload(Uint32Array.of(0, TOKENS, 0, 0)),
      numTiles: 1,
    });
  const values = Array.from({ length: TOKENS * numHeads * headDim }, (_, at) => {
    const token = Math.floor(at / (numHeads * headDim));
    const query = token * stride + Math.floor(at / headDim) % numHeads * headDim;
    const weights = positions.slice(0, token + 1).map((key) => {
      const products = Array.from(
        { length: headDim },
        (_, d) => qkv[query + d]! * qkv[key * stride + numHeads * headDim + d]!,
      );
      return Math.exp(total(products) * call.scale);
    });
    const valueAt = (numHeads + 1) * headDim + at % headDim;
    return total(weights.map((weight, key) => weight * qkv[key * stride + valueAt]!)) /
      total(weights);
  });
  return {
    name: `${attention.program.name} (${shape.isF16 ? "f16" : "f32"} cache)`,
    dispatches: [kvStore(kernels, { ...store, numTokens: TOKENS }), attention],
    output,
    // Values are below 1.
    expected: { values, bounds: values.map(() => F32_ERROR) },
  };
}

/** Greedy: the first of the highest logits. */
async function sampleAnswer(bench: SelfTestBench, kernels: KernelContext): Promise<KnownAnswer> {
  const logits = numbers(777, 9);
  logits[130] = logits[640] = 1.5;
  const output = await bench.output(1);
  const request = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: 0, tokenIndex: 0 };
  return {
    name: "sample",
    dispatches: sample(kernels, {
      logits: await bench.upload(logits),
      params: await bench.upload(new Uint32Array(packSampleParams([request]))),
      tokens: output,
      vocabSize: logits.length,
      numSamples: 1,
    }),
    output,
    expected: { values: [130], bounds: [0] },
    isInteger: true,
  };
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
