import type { WeightFormat } from "../../src/core.ts";
import type { Dispatch } from "../../src/gpu/dispatch.ts";
import type { Weight } from "../../src/gpu/weight.ts";
import type { KernelContext, RowKind } from "../../src/kernels/context.ts";
import type { ProjectionCall } from "../../src/kernels/projection_call.ts";
import type { Tuning } from "../../src/kernels/tuning.ts";
import { projectionReference } from "../reference.ts";
import { expectWithin } from "./expect_within.ts";
import type { TestGpu } from "./gpu.ts";
import { Random } from "./random.ts";
import { randomWeight } from "./weights.ts";

/** `matvec`, `matmul`, or the choice between them. */
export type Projection = (kernels: KernelContext, call: ProjectionCall) => Dispatch[];

/** One run of a projection. */
export interface ProjectionRun {
  readonly weight: Weight;
  /** f32 [tokens, weight.numCols]. */
  readonly x: Float32Array<ArrayBuffer>;
  readonly bias?: Float32Array<ArrayBuffer> | null;
  readonly residual?: Float32Array<ArrayBuffer> | null;
  readonly rowKind?: RowKind;
  readonly tuning?: Partial<Tuning>;
}

/** y of a run, f32 [tokens, weight.numRows]. */
export async function runProjection(
  gpu: TestGpu,
  projection: Projection,
  run: ProjectionRun,
): Promise<Float32Array<ArrayBuffer>> {
  const { weight, x, bias, residual, rowKind = "tokens", tuning } = run;
  const numRows = x.length / weight.numCols;
  const y = await gpu.output(residual ?? numRows * weight.numRows);
  // The other count is larger: a kernel that reads it writes where it must not.
  const counts = rowKind === "tokens"
    ? { numTokens: numRows, numSamples: numRows + 1 }
    : { numTokens: numRows + 1, numSamples: numRows };
  await gpu.run(projection(await gpu.kernels(counts, tuning), {
    weight,
    x: await gpu.upload(x),
    y,
    bias: bias ? await gpu.upload(bias) : null,
    accumulate: residual !== undefined && residual !== null,
    rowKind,
    numRows,
  }));
  return gpu.read(y);
}

/** Runs a random case and holds it to the reference. */
export async function expectProjection(gpu: TestGpu, projection: Projection, test: {
  readonly parts: readonly { readonly format: WeightFormat; readonly numRows: number }[];
  readonly numCols: number;
  readonly numTokens: number;
  readonly hasBias?: boolean;
  readonly accumulate?: boolean;
  readonly rowKind?: RowKind;
  readonly tuning?: Partial<Tuning>;
}): Promise<void> {
  const { numCols, numTokens, hasBias, accumulate, rowKind = "tokens", tuning = {} } = test;
  const random = new Random(numCols * 100 + numTokens);
  const { weight, values } = await randomWeight(gpu, random, test);
  const x = random.floats(numTokens * numCols);
  const bias = hasBias ? random.floats(weight.numRows, 10) : null;
  const residual = accumulate ? random.floats(numTokens * weight.numRows, 10) : null;
  const actual = await runProjection(gpu, projection, {
    weight,
    x,
    bias,
    residual,
    rowKind,
    tuning,
  });
  const isF16 = tuning.useF16Tiles ?? false;
  expectWithin(
    actual,
    projectionReference(values, { numCols, x, bias, residual, isF16 }),
    JSON.stringify(test),
  );
}
