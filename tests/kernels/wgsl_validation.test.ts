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
import { copyBlocks } from "../../src/kernels/copy_blocks.ts";
import { copyTokens } from "../../src/kernels/copy_tokens.ts";
import { embed } from "../../src/kernels/embed.ts";
import { INCLUDES } from "../../src/kernels/includes.ts";
import { kvStore } from "../../src/kernels/kv_store.ts";
import { matmul } from "../../src/kernels/matmul.ts";
import { matvec } from "../../src/kernels/matvec.ts";
import { penalize } from "../../src/kernels/penalize.ts";
import { headNorm, rmsNorm } from "../../src/kernels/rms_norm.ts";
import { rope } from "../../src/kernels/rope.ts";
import { sample } from "../../src/kernels/sample.ts";
import { siluMul } from "../../src/kernels/silu_mul.ts";
import { defaultTuning, type Tuning } from "../../src/kernels/tuning.ts";
import { planeBytes } from "../../src/formats/weight_format.ts";
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

const NORM = { weight: buffer, eps: 1e-6, x: buffer, numRows: 3 };

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
  copy_blocks: {
    calls: (kernels) =>
      attentionCalls().map((call) => copyBlocks(kernels, { ...call, pairs: buffer })),
  },
  copy_tokens: {
    calls: (kernels) => [
      copyTokens(kernels, { pairs: buffer, mostPairs: 8, source: buffer, destination: buffer }),
    ],
  },
  embed: {
    calls: (kernels) =>
      WEIGHTS.map((weight) =>
        embed(kernels, { weight, tokenIds: buffer, out: buffer, numTokens: 2 })
      ),
  },
  kv_store: {
    calls: (kernels) =>
      attentionCalls().map((call) =>
        kvStore(kernels, { ...call, tokenRows: buffer, keyOffset: 64, numTokens: 2 })
      ),
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
  silu_mul: {
    calls: (
      kernels,
    ) => [siluMul(kernels, { gateUp: buffer, y: buffer, numCols: 1536, numTokens: 2 })],
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
