import { existsSync, readdirSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import type { WeightFormat } from "../../src/core.ts";
import type { GpuContext } from "../../src/gpu/context.ts";
import type { Dispatch } from "../../src/gpu/dispatch.ts";
import { ProgramCache } from "../../src/gpu/program.ts";
import type { Weight } from "../../src/gpu/weight.ts";
import { attentionDecode } from "../../src/kernels/attention_decode.ts";
import { attentionPrefill } from "../../src/kernels/attention_prefill.ts";
import type { KernelContext } from "../../src/kernels/context.ts";
import { combineExperts } from "../../src/kernels/combine_experts.ts";
import { copyBlocks } from "../../src/kernels/copy_blocks.ts";
import { copyTokens } from "../../src/kernels/copy_tokens.ts";
import { geluMul } from "../../src/kernels/gelu_mul.ts";
import { embed } from "../../src/kernels/embed.ts";
import { expertDown } from "../../src/kernels/expert_down.ts";
import { expertGateUp } from "../../src/kernels/expert_gate_up.ts";
import { expertMatmul } from "../../src/kernels/expert_matmul.ts";
import { INCLUDES } from "../../src/kernels/includes.ts";
import { kvStore } from "../../src/kernels/kv_store.ts";
import { latentAttention } from "../../src/kernels/latent_attention.ts";
import { latentQuery } from "../../src/kernels/latent_query.ts";
import { latentStore } from "../../src/kernels/latent_store.ts";
import { latentValue } from "../../src/kernels/latent_value.ts";
import { matmul } from "../../src/kernels/matmul.ts";
import { matvec } from "../../src/kernels/matvec.ts";
import { penalize } from "../../src/kernels/penalize.ts";
import { headNorm, rmsNorm } from "../../src/kernels/rms_norm.ts";
import { rope } from "../../src/kernels/rope.ts";
import { route } from "../../src/kernels/route.ts";
import { sample } from "../../src/kernels/sample.ts";
import { siluMul } from "../../src/kernels/silu_mul.ts";
import { causalConv } from "../../src/kernels/causal_conv.ts";
import { copyStates } from "../../src/kernels/copy_states.ts";
import { deltaChunks } from "../../src/kernels/delta_chunks.ts";
import { deltaInputs } from "../../src/kernels/delta_inputs.ts";
import { deltaRule } from "../../src/kernels/delta_rule.ts";
import { deltaSolve } from "../../src/kernels/delta_solve.ts";
import { gateHeads } from "../../src/kernels/gate_heads.ts";
import { gatedNorm } from "../../src/kernels/gated_norm.ts";
import { resizeHeads } from "../../src/kernels/resize_heads.ts";
import { splitGate } from "../../src/kernels/split_gate.ts";
import { softcap } from "../../src/kernels/softcap.ts";
import { defaultTuning, type Tuning } from "../../src/kernels/tuning.ts";
import { planeBytes } from "../../src/formats/weight_format.ts";
import { CHUNKED_SHAPES, LINEAR_SHAPES } from "./linear_case.ts";
import { sortExperts } from "../../src/kernels/sort_experts.ts";
import { CLAMPED, experts } from "./expert_case.ts";
import { openNullGpu } from "./null_gpu.ts";
import { ALL_FORMATS, DENSE_FORMATS } from "./weights.ts";

const ROOT = new URL("../../", import.meta.url);
const STEMS = readdirSync(new URL("shaders", ROOT))
  .filter((name) => name.endsWith(".wgsl")).map((name) => name.slice(0, -".wgsl".length));
const FLAGS = [false, true];

const context = await openNullGpu(32);
afterAll(() => context.destroy());
/** Stands for every operand: nothing runs. */
const buffer = context.device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE });

/** Every call that a kernel file can make a program of. */
type Calls = (kernels: KernelContext) => (Dispatch | readonly Dispatch[])[];

function kernelsFor(device: GpuContext, chosen: Partial<Tuning> = {}): KernelContext {
  // Broadcasts are for subgroups of 8.
  const subgroupSize = chosen.matvecLanes === 1 ? 8 : device.capabilities.subgroupSize;
  const capabilities = { ...device.capabilities, subgroupSize };
  const programs = new ProgramCache(device, INCLUDES);
  return { programs, capabilities, tuning: defaultTuning(capabilities, chosen), step: buffer };
}

/** Compiles each call's programs by themselves; what fails names file, constants and line. */
async function failures(calls: Calls, tunings: readonly Partial<Tuning>[] = [{}]) {
  const messages: string[] = [];
  const names = new Set<string>();
  let numPrograms = 0;
  for (const tuning of tunings) {
    const kernels = kernelsFor(context, tuning);
    const dispatches = calls(kernels).flat();
    for (const { program } of dispatches) names.add(program.name);
    numPrograms += kernels.programs.size;
    for (;;) {
      try {
        await kernels.programs.compiled();
        break;
      } catch (error) {
        messages.push(String(error));
      }
    }
    const unfinished = dispatches.filter(({ program }) => program.pipeline === null);
    messages.push(...new Set(unfinished.map(({ program }) => `"${program.key}" is not compiled`)));
  }
  return { messages, names: [...names], numPrograms };
}

function weightOf(format: WeightFormat, numCols: number): Weight {
  const numRows = 10;
  let words = 0;
  const planeWords = planeBytes(format, numRows, numCols).map((bytes) => {
    const start = words;
    words += bytes / 4;
    return start;
  });
  return { numRows, numCols, parts: [{ format, startRow: 0, numRows, buffer, planeWords }] };
}

const WEIGHTS = [
  ...ALL_FORMATS.map((format) => weightOf(format, 512)),
  ...DENSE_FORMATS.map((format) => weightOf(format, 101)),
];

/** Each weight with bias and not, replacing and adding, for tokens and for samples. */
function projections(kernels: KernelContext, kernel: typeof matvec, numRows: number) {
  const operands = { x: buffer, y: buffer, numRows };
  return WEIGHTS.flatMap((weight) =>
    FLAGS.flatMap((hasBias) =>
      FLAGS.flatMap((accumulate) =>
        (["tokens", "samples"] as const).map((rowKind) =>
          kernel(kernels, {
            ...operands,
            weight,
            bias: hasBias ? buffer : null,
            accumulate,
            rowKind,
          })
        )
      )
    )
  );
}

/** Head dims, heads over KV heads, KV width and window. */
function attentionCalls() {
  return [16, 32, 36, 64, 80, 96, 128, 256].flatMap((headDim) =>
    [1, 3, 4, 8, 32].flatMap((groupSize) =>
      FLAGS.flatMap((isF16) =>
        [null, 4096].map((window) => ({
          sinks: window !== null && groupSize === 8 ? buffer : null,
          cache: { k: buffer, v: buffer, numKvHeads: 2, headDim, isF16 },
          blockTables: buffer,
          maxBlocks: 128,
          qkv: buffer,
          stride: (2 * groupSize + 4) * headDim,
          out: buffer,
          numHeads: 2 * groupSize,
          scale: 1 / Math.sqrt(headDim),
          window,
        }))
      )
    )
  );
}

function latentCache(isF16: boolean, latentDim = 36) {
  return { latents: buffer, latentDim, ropeDim: 8, isF16 };
}

const LATENT_OPERANDS = { tokenRows: buffer, angles: buffer, numTokens: 2 };

/** Latents of DeepSeek and others, heads that share a row and not. */
function latentCalls() {
  return FLAGS.flatMap((isF16) =>
    [[36, 5], [512, 16], [1024, 128], [2048, 2]].map(([latentDim, numHeads]) => ({
      ...LATENT_OPERANDS,
      cache: latentCache(isF16, latentDim),
      ...{ normWeight: buffer, eps: 1e-6, projected: buffer },
      ...{ blockTables: buffer, maxBlocks: 128, heads: buffer, numHeads: numHeads! },
    }))
  );
}

/** Each weight as one head, for one token and for some. */
function latentHeadCalls() {
  const sizes = { numHeads: 1, nopeDim: 6, ropeDim: 8, valueDim: 4 };
  return WEIGHTS.flatMap((weight) =>
    [1, 2].map((numTokens) => ({ ...LATENT_OPERANDS, ...sizes, weight, numTokens }))
  );
}

function onDevice(kernels: KernelContext, isSoftware: boolean): KernelContext {
  return { ...kernels, capabilities: { ...kernels.capabilities, isSoftware } };
}

const NORM = { weight: buffer, eps: 1e-6, x: buffer, numRows: 3 };

/** Tables and buffers of a batch for linear attention. */
const LINEAR = {
  tokenRows: buffer,
  slices: buffer,
  mixed: buffer,
  gates: buffer,
  states: buffer,
  numTokens: 2,
  numSlices: 1,
};

/** As wide as a config may have them. */
const WIDE_HEADS = [
  { numKeyHeads: 2, numValueHeads: 4, keyDim: 512, valueDim: 512, convKernel: 4 },
];

/** Each weight as five experts of two rows, with biases and without. */
function expertCalls() {
  const operands = { x: buffer, y: buffer, experts: buffer, weights: buffer, numTokens: 2 };
  return WEIGHTS.flatMap((weight) =>
    FLAGS.flatMap((hasBias) =>
      [{ type: "silu" } as const, CLAMPED].map((activation) => ({
        ...operands,
        moe: experts({ numExperts: 5, expertSize: 1, activation }),
        weight,
        bias: hasBias ? buffer : null,
      }))
    )
  );
}

const EXPERT_TUNINGS = [
  ...[1, 8, 32, 64].map((matvecLanes) => ({ matvecLanes, useSubgroups: false })),
  { matvecLanes: 32, useSubgroups: true },
];

/** What each file of shaders/ is compiled for. */
const CALLS: Readonly<Record<string, { calls: Calls; tunings?: readonly Partial<Tuning>[] }>> = {
  attention_decode: {
    calls: (kernels) =>
      attentionCalls().map((call) =>
        attentionDecode(kernels, { ...call, tokenRows: buffer, decodeRows: buffer, numRows: 1 })
      ),
  },
  attention_prefill: {
    calls: (kernels) =>
      attentionCalls().map((call) =>
        attentionPrefill(kernels, { ...call, tiles: buffer, numTiles: 1 })
      ),
  },
  combine_experts: {
    calls: (kernels) => [
      combineExperts(kernels, {
        ...{ x: buffer, weights: buffer, y: buffer, perToken: 8, numCols: 2048, numTokens: 2 },
      }),
    ],
  },
  copy_blocks: {
    calls: (kernels) => [
      ...attentionCalls().map((call) => copyBlocks(kernels, { ...call, pairs: buffer })),
      copyBlocks(kernels, { cache: latentCache(false), pairs: buffer }),
    ],
  },
  copy_tokens: {
    calls: (kernels) => [
      copyTokens(kernels, { pairs: buffer, mostPairs: 8, source: buffer, destination: buffer }),
    ],
  },
  causal_conv: {
    calls: (kernels) =>
      LINEAR_SHAPES.map((shape) =>
        causalConv(kernels, { ...LINEAR, shape, projected: buffer, weight: buffer })
      ),
  },
  copy_states: {
    calls: (kernels) => [copyStates(kernels, { states: buffer, numCols: 77, pairs: buffer })],
  },
  delta_chunks: {
    calls: (kernels) =>
      [...CHUNKED_SHAPES, ...WIDE_HEADS].map((shape) =>
        deltaChunks(kernels, { ...LINEAR, shape, solutions: buffer, out: buffer })
      ),
  },
  delta_inputs: {
    calls: (kernels) =>
      LINEAR_SHAPES.map((shape) =>
        deltaInputs(kernels, { ...LINEAR, shape, rates: buffer, aLog: buffer, dtBias: buffer })
      ),
    tunings: FLAGS.map((useSubgroups) => ({ useSubgroups })),
  },
  delta_rule: {
    calls: (kernels) =>
      LINEAR_SHAPES.flatMap((shape) =>
        FLAGS.map((isOnlyShort) =>
          deltaRule(kernels, { ...LINEAR, shape, out: buffer, isOnlyShort })
        )
      ),
  },
  delta_solve: {
    calls: (kernels) =>
      [...CHUNKED_SHAPES, ...WIDE_HEADS].map((shape) =>
        deltaSolve(kernels, {
          ...{ ...LINEAR, shape, chunks: buffer, numChunks: 1 },
          solutions: buffer,
        })
      ),
  },
  gate_heads: {
    calls: (kernels) => [
      gateHeads(kernels, {
        ...{ x: buffer, y: buffer, stride: 300, numHeads: 3, headDim: 36, numTokens: 2 },
      }),
    ],
  },
  gated_norm: {
    calls: (kernels) =>
      LINEAR_SHAPES.map((shape) =>
        gatedNorm(kernels, { ...NORM, shape, projected: buffer, numTokens: 2 })
      ),
    tunings: FLAGS.map((useSubgroups) => ({ useSubgroups })),
  },
  resize_heads: {
    calls: (kernels) => [
      resizeHeads(kernels, {
        ...{ x: buffer, y: buffer, numHeads: 3, fromDim: 18, toDim: 20, numTokens: 2 },
      }),
    ],
  },
  split_gate: {
    calls: (kernels) => [
      splitGate(kernels, {
        ...{ x: buffer, y: buffer, numHeads: 3, headDim: 36, numOthers: 72, numTokens: 2 },
      }),
    ],
  },
  embed: {
    calls: (kernels) =>
      WEIGHTS.map((weight) =>
        embed(kernels, { weight, tokenIds: buffer, out: buffer, numTokens: 2 })
      ),
  },
  gelu_mul: {
    calls: (
      kernels,
    ) => [geluMul(kernels, { gateUp: buffer, y: buffer, numCols: 1536, numTokens: 2 })],
  },
  expert_down: {
    calls: (kernels) => expertCalls().map((call) => expertDown(kernels, call)),
    tunings: EXPERT_TUNINGS,
  },
  expert_gate_up: {
    calls: (kernels) => expertCalls().map((call) => expertGateUp(kernels, call)),
    tunings: EXPERT_TUNINGS,
  },
  expert_matmul: {
    calls: (kernels) =>
      (["gate-up", "down"] as const).flatMap((kind) =>
        expertCalls().map((call) =>
          expertMatmul(kernels, { ...call, kind, pairs: buffer, tiles: buffer })
        )
      ),
  },
  kv_store: {
    calls: (kernels) =>
      attentionCalls().map((call) =>
        kvStore(kernels, { ...call, tokenRows: buffer, keyOffset: 64, numTokens: 2 })
      ),
  },
  latent_attention: {
    calls: (kernels) =>
      latentCalls().flatMap((call) =>
        FLAGS.map((isSoftware) =>
          latentAttention(onDevice(kernels, isSoftware), { ...call, scale: 0.1 })
        )
      ),
  },
  latent_query: {
    calls: (kernels) =>
      latentHeadCalls().flatMap((call) =>
        FLAGS.map((isInterleaved) =>
          latentQuery(onDevice(kernels, isInterleaved), {
            ...call,
            isInterleaved,
            out: buffer,
            q: buffer,
          })
        )
      ),
  },
  latent_store: {
    calls: (kernels) =>
      latentCalls().flatMap((call) =>
        FLAGS.map((isInterleaved) => latentStore(kernels, { ...call, isInterleaved }))
      ),
    tunings: FLAGS.map((useSubgroups) => ({ useSubgroups })),
  },
  latent_value: {
    calls: (kernels) =>
      latentHeadCalls().map((call) => latentValue(kernels, { ...call, seen: buffer, y: buffer })),
    tunings: EXPERT_TUNINGS,
  },
  matmul: {
    calls: (kernels) => projections(kernels, matmul, 64),
    tunings: FLAGS.flatMap((useF16Tiles) =>
      FLAGS.map((sliceFewTokens) => ({ useF16Tiles, sliceFewTokens }))
    ),
  },
  matvec: {
    calls: (kernels) =>
      [1, 2, 4, 8].flatMap((numRows) =>
        kernels.tuning.matvecTokens >= numRows ? projections(kernels, matvec, numRows) : []
      ),
    tunings: [
      ...[1, 8, 32, 64].map((matvecLanes) => ({ matvecLanes, useSubgroups: false })),
      ...[1, 32].map((matvecLanes) => ({ matvecLanes, useSubgroups: true })),
    ].map((tuning) => ({ ...tuning, matvecTokens: 8 })),
  },
  penalize: {
    calls: (kernels) => [
      penalize(kernels, {
        rows: buffer,
        entries: buffer,
        logits: buffer,
        vocabSize: 49_152,
        numSamples: 2,
      }),
    ],
  },
  rms_norm: {
    calls: (kernels) => [
      rmsNorm(kernels, { ...NORM, y: buffer, numCols: 576 }),
      rmsNorm(kernels, { ...NORM, y: buffer, numCols: 576, sampleRows: buffer }),
      ...FLAGS.map((accumulate) =>
        rmsNorm(kernels, { ...NORM, y: buffer, numCols: 576, accumulate, hasUnitOffset: true })
      ),
      ...FLAGS.map((isSoftware) =>
        rmsNorm({ ...kernels, capabilities: { ...kernels.capabilities, isSoftware } }, {
          ...NORM,
          y: buffer,
          numCols: 4096,
        })
      ),
      headNorm(kernels, { ...NORM, stride: 512, offset: 256, headDim: 128, numHeads: 2 }),
    ],
    tunings: FLAGS.map((useSubgroups) => ({ useSubgroups })),
  },
  rope: {
    calls: (kernels) =>
      FLAGS.map((isInterleaved) =>
        rope(kernels, {
          tokenRows: buffer,
          angles: buffer,
          qkv: buffer,
          stride: 512,
          numRotatedHeads: 3,
          headDim: 128,
          rotaryDim: 64,
          isInterleaved,
          numTokens: 2,
        })
      ),
  },
  route: {
    calls: (kernels) =>
      ([null, { numGroups: 4, numChosen: 2, score: "max" }, {
        numGroups: 4,
        numChosen: 2,
        score: "top2-sum",
      }] as const).flatMap((groups) =>
        (["softmax", "sigmoid", "softmax-of-chosen"] as const).flatMap((scoring) =>
          FLAGS.map((flag) =>
            route(kernels, {
              moe: experts({ scoring, groups, numExperts: 1024, isNormalised: flag }),
              logits: buffer,
              correctionBias: flag ? buffer : null,
              experts: buffer,
              weights: buffer,
              numTokens: 2,
            })
          )
        )
      ),
  },
  sample: {
    calls: (kernels) =>
      [2, 49_152, 262_144].map((vocabSize) =>
        sample(kernels, {
          logits: buffer,
          params: buffer,
          tokens: buffer,
          vocabSize,
          numSamples: 2,
        })
      ),
  },
  sort_experts: {
    calls: (kernels) =>
      [1, 128, 1024].map((numExperts) =>
        sortExperts(kernels, {
          moe: experts({ numExperts, numExpertsPerToken: 1 }),
          ...{ experts: buffer, pairs: buffer, tiles: buffer },
        })
      ),
  },
  softcap: {
    calls: (kernels) => [
      softcap(kernels, { logits: buffer, cap: 30, vocabSize: 262_144, numSamples: 2 }),
    ],
  },
  silu_mul: {
    calls: (kernels) =>
      [null, buffer].map((rowGate) =>
        siluMul(kernels, { gateUp: buffer, y: buffer, rowGate, numCols: 1536, numTokens: 2 })
      ),
  },
};

describe("every variant compiles within WebGPU's own limits:", () => {
  test.each(STEMS)("%s", async (stem) => {
    expect(Object.keys(CALLS)).toContain(stem);
    const { calls, tunings } = CALLS[stem]!;
    const { messages, names, numPrograms } = await failures(calls, tunings);
    expect(messages).toEqual([]);
    expect(names).toEqual([stem]);
    expect(numPrograms).toBeGreaterThan(0);
  });

  test("subgroups of 4, 8, 16 and 64", async () => {
    for (const subgroupSize of [4, 8, 16, 64]) {
      const kernels = kernelsFor(
        { ...context, capabilities: { ...context.capabilities, subgroupSize } },
        { useSubgroups: true, matvecLanes: subgroupSize },
      );
      const { program } = rmsNorm(kernels, { ...NORM, y: buffer, numCols: 576 });
      const [first] = matvec(kernels, { weight: WEIGHTS[3]!, x: buffer, y: buffer, numRows: 2 });
      expect(program.key).toContain("SUBGROUPS=true");
      expect(first!.program.key).toContain("SUBGROUPS=true");
      await kernels.programs.compiled();
    }
  });

  test("a mistake is reported with file, variant and line", async () => {
    const kernels = kernelsFor(context);
    kernels.programs.get({ name: "wrong", source: "fn a() {\n  let x = COLS + 1i;\n}" }, {
      COLS: 5,
    });
    await expect(kernels.programs.compiled()).rejects.toThrow(/Shader "wrong COLS=5" .* 3:\d+ /);
  });
});

test("every file of shaders/include can be included", () => {
  const files = readdirSync(new URL("shaders/include", ROOT));
  expect(files.toSorted()).toEqual(Object.keys(INCLUDES).toSorted());
});

describe("each shader has its rooms:", () => {
  const hasBenches = existsSync(new URL("bench/kernels", ROOT));
  test.each(STEMS)("%s", (stem) => {
    const rooms = [
      `src/kernels/${stem}.ts`,
      `tests/kernels/${stem}.test.ts`,
      ...hasBenches ? [`bench/kernels/${stem}.bench.ts`] : [],
    ];
    expect(rooms.filter((room) => !existsSync(new URL(room, ROOT)))).toEqual([]);
  });
});
