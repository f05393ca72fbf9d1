import { describe, expect, test } from "vitest";
import type { KernelContext } from "../../src/kernels/context.ts";
import { latentAttention } from "../../src/kernels/latent_attention.ts";
import { attentionReference, type Expected } from "../reference.ts";
import { AttentionSetup, type TestSlice } from "./attention_case.ts";
import { bitsOf, expectWithin } from "./expect_within.ts";
import { openTestGpu } from "./gpu.ts";

const gpu = await openTestGpu();

interface Shape {
  readonly numHeads: number;
  readonly latentDim: number;
  readonly ropeDim: number;
  readonly isF16: boolean;
  /** Positions are taken in larger tiles. */
  readonly isHardware?: boolean;
}

interface LatentCase extends Shape {
  readonly slices: readonly TestSlice[];
  readonly blockSeed?: number;
  readonly queryScale?: number;
}

/** One head of K and V for all query heads, where V is the first part of K. */
class LatentSetup {
  readonly #setup: AttentionSetup;
  readonly #case: LatentCase;

  constructor(test: LatentCase) {
    const headDim = test.latentDim + test.ropeDim;
    this.#case = test;
    this.#setup = new AttentionSetup({ ...test, numKvHeads: 1, headDim });
    const { qkv } = this.#setup.inputs;
    qkv.set(qkv.map((value) => value * (test.queryScale ?? 1)));
  }

  get tokens() {
    return this.#setup.inputs.tokens;
  }

  /** f32 [tokens, numHeads, latentDim + ropeDim], of which the last part is the queries'. */
  async run(): Promise<Float32Array<ArrayBuffer>> {
    const { latentDim, ropeDim, numHeads, isF16, isHardware } = this.#case;
    const { scale, tokens } = this.#setup.inputs;
    const { cache, blockTables, maxBlocks } = await this.#setup.upload(gpu);
    const heads = await gpu.output(this.#queries());
    const kernels = await gpu.kernels({ numTokens: tokens.length });
    const tokenRows = tokens.flatMap(({ position, sequence }) => [position, sequence, 0xffffffff]);
    await gpu.run(latentAttention(onDevice(kernels, isHardware), {
      cache: { latents: cache.k, latentDim, ropeDim, isF16 },
      tokenRows: await gpu.upload(Uint32Array.from(tokenRows)),
      ...{ blockTables, maxBlocks, heads, numHeads, scale },
      numTokens: tokens.length,
    }));
    return gpu.read(heads);
  }

  expected(): Expected {
    const { inputs } = this.#setup;
    const { values, bounds } = attentionReference({ ...inputs, v: inputs.k });
    const { latentDim, ropeDim } = this.#case;
    const queries = this.#queries();
    const isValue = (at: number) => at % (latentDim + ropeDim) < latentDim;
    return {
      values: values.map((value, at) => isValue(at) ? value : queries[at]!),
      bounds: bounds.map((bound, at) => isValue(at) ? bound : 0),
    };
  }

  #queries(): Float32Array<ArrayBuffer> {
    const { qkv, stride, tokens } = this.#setup.inputs;
    const { numHeads, latentDim, ropeDim } = this.#case;
    const width = numHeads * (latentDim + ropeDim);
    const queries = new Float32Array(tokens.length * width);
    tokens.forEach((_, t) => {
      queries.set(qkv.subarray(t * stride, t * stride + width), t * width);
    });
    return queries;
  }
}

function onDevice(kernels: KernelContext, isHardware = false): KernelContext {
  return { ...kernels, capabilities: { ...kernels.capabilities, isSoftware: !isHardware } };
}

/** Lengths around a block and around the tiles of 64 and 128 positions, and a run. */
const SLICES: readonly TestSlice[] = [
  ...[1, 2, 15, 16, 17, 63, 64, 65, 128, 129, 150].map((length) => ({
    start: length - 1,
    numTokens: 1,
  })),
  { start: 62, numTokens: 4 },
];

const SHAPES: readonly Shape[] = [
  { numHeads: 1, latentDim: 4, ropeDim: 4, isF16: false },
  { numHeads: 3, latentDim: 36, ropeDim: 12, isF16: true },
  // Five heads have no divisor that shares a row.
  { numHeads: 5, latentDim: 32, ropeDim: 16, isF16: false },
  { numHeads: 8, latentDim: 32, ropeDim: 16, isF16: true, isHardware: true },
  // Two heads fit a workgroup.
  { numHeads: 4, latentDim: 1024, ropeDim: 64, isF16: false },
];

describe("latent_attention", () => {
  test.each(SHAPES)(
    "attends with $numHeads heads to $latentDim + $ropeDim, many lengths at once, f16 $isF16",
    async (shape) => {
      const setup = new LatentSetup({ ...shape, slices: SLICES });
      expectWithin(await setup.run(), setup.expected());
    },
  );

  test("gives a token the same bits alone, among others and in other blocks", async () => {
    const shape = { ...SHAPES[1]!, isF16: false };
    const width = 3 * 48;
    const together = bitsOf(await new LatentSetup({ ...shape, slices: SLICES }).run());
    for (const row of [0, 5, 7, 10]) {
      for (const blockSeed of [1, 2, 3]) {
        const alone = await new LatentSetup({ ...shape, slices: [SLICES[row]!], blockSeed }).run();
        expect(bitsOf(alone)).toEqual(together.slice(row * width, (row + 1) * width));
      }
    }
  });

  test("survives scores far apart", async () => {
    const slices = [{ start: 140, numTokens: 1 }];
    const setup = new LatentSetup({ ...SHAPES[0]!, slices, queryScale: 300 });
    expectWithin(await setup.run(), setup.expected());
  });
});
