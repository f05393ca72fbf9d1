/**
 * What weights must make of a fixed input, computed in f64 from the model's own bytes: proof that
 * they lie on the device as they should.
 *
 * @module
 */
import type { WeightFormat } from "../core.ts";
import { dequantize, nativeBytes } from "../formats/weight_format.ts";
import type { GpuContext } from "../gpu/context.ts";
import { type Readback, ReadbackRing } from "../gpu/readback_ring.ts";
import { Recorder } from "../gpu/recorder.ts";
import type { Weight } from "../gpu/weight.ts";
import type { KernelContext } from "../kernels/context.ts";
import { projection } from "../kernels/projection.ts";
import { SelfTestBench } from "../kernels/self_test_bench.ts";
import { KnownAnswerError } from "./known_answer_error.ts";

/** A row of a weight times `testInput`. */
export interface RowAnswer {
  readonly row: number;
  readonly value: number;
  /** Largest error of a device that adds in f32, in any order. */
  readonly bound: number;
}

/** A weight on the device and the answers of some of its rows. */
export interface WeightAnswer {
  /** The tensors, for messages. */
  readonly name: string;
  readonly weight: Weight;
  readonly rows: readonly RowAnswer[];
}

/** Weights that are checked in one submit: short enough for a driver's watchdog. */
const WEIGHTS_PER_SUBMIT = 8;

/** Relative error of f32 sums that is always granted. */
const SUM_ERROR = 2 ** -13;

/** Elements within [-1, 1), the same ones for every weight of so many columns. */
export function testInput(numCols: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: numCols }, (_, i) => {
    const mixed = Math.imul(i ^ (i >>> 7), 0x9e3779b1) ^ Math.imul(i + 1, 0x85ebca6b);
    return (mixed ^ (mixed >>> 15)) / 2 ** 31;
  });
}

/** Answers of the first and the last of the rows that native `bytes` are; `startRow` is the first. */
export function rowAnswers(
  bytes: Uint8Array,
  { format, startRow, numRows, numCols }: {
    readonly format: WeightFormat;
    readonly startRow: number;
    readonly numRows: number;
    readonly numCols: number;
  },
): RowAnswer[] {
  const rowBytes = nativeBytes(format, 1, numCols);
  const input = testInput(numCols);
  return [...new Set([0, numRows - 1])].map((row) => {
    const native = bytes.subarray(row * rowBytes, (row + 1) * rowBytes);
    return { row: startRow + row, ...product(dequantize(format, native, numCols), input) };
  });
}

function product(
  weights: Float32Array,
  input: Float32Array,
): { readonly value: number; readonly bound: number } {
  let value = 0;
  let magnitude = 0;
  for (let i = 0; i < weights.length; i++) {
    const term = weights[i]! * input[i]!;
    value += term;
    magnitude += Math.abs(term);
  }
  return { value, bound: magnitude * Math.max(SUM_ERROR, weights.length * 2 ** -24) };
}

/** Has the device compute every answer. Throws a KnownAnswerError for the first that is wrong. */
export async function checkWeights(
  answers: readonly WeightAnswer[],
  device: {
    readonly context: GpuContext;
    readonly kernels: Omit<KernelContext, "step">;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  for (let i = 0; i < answers.length; i += WEIGHTS_PER_SUBMIT) {
    device.signal?.throwIfAborted();
    await checkTogether(answers.slice(i, i + WEIGHTS_PER_SUBMIT), device);
  }
}

async function checkTogether(
  answers: readonly WeightAnswer[],
  { context, kernels }: {
    readonly context: GpuContext;
    readonly kernels: Omit<KernelContext, "step">;
  },
): Promise<void> {
  const bench = new SelfTestBench(context);
  const ring = new ReadbackRing(context);
  try {
    const step = await bench.upload(Uint32Array.of(1, 0, 0, 0), "uniform");
    const dispatches = [];
    const readbacks: Readback[] = [];
    for (const { weight } of answers) {
      const x = await bench.upload(testInput(weight.numCols));
      const y = await bench.output(weight.numRows);
      dispatches.push(...projection({ ...kernels, step }, { weight, x, y, numRows: 1 }));
      readbacks.push(await ring.reserve(y, weight.numRows * 4));
    }
    await kernels.programs.compiled();
    const recorder = new Recorder(context);
    recorder.submit(recorder.record(dispatches), readbacks.map(({ copy }) => copy));
    for (const [i, readback] of readbacks.entries()) {
      compare(answers[i]!, new Float32Array(await readback.read()), context);
    }
  } finally {
    ring.destroy();
    bench.destroy();
  }
}

function compare({ name, rows }: WeightAnswer, actual: Float32Array, context: GpuContext): void {
  for (const { row, value, bound } of rows) {
    const got = actual[row] ?? NaN;
    // A NaN is within no bound.
    if (Math.abs(got - value) <= bound) continue;
    throw new KnownAnswerError(
      context,
      `row ${row} of "${name}" gives ${got} instead of ${value}`,
    );
  }
}
