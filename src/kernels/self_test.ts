/**
 * What a device must compute right before it serves.
 *
 * @module
 */
import { type GpuCapabilities, type GpuContext, withCapabilities } from "../gpu/context.ts";
import { ProgramCache, ShaderError } from "../gpu/program.ts";
import { ReadbackRing } from "../gpu/readback_ring.ts";
import { Recorder } from "../gpu/recorder.ts";
import { INCLUDES } from "./includes.ts";
import {
  baselineAnswers,
  type KnownAnswer,
  type KnownAnswers,
  SELF_TEST_STEP,
  tileAnswers,
  workgroupSumAnswers,
} from "./self_test_answers.ts";
import { SelfTestBench } from "./self_test_bench.ts";
import { defaultTuning, type Tuning } from "./tuning.ts";

/** The device computes wrong results with kernels that have no substitute. */
export class SelfTestError extends Error {
  override readonly name = "SelfTestError";
}

/** What passed. */
export interface SelfTestResult {
  /** The context with only those capabilities that passed. */
  readonly context: GpuContext;
  /** One line for each variant that failed and is off. */
  readonly warnings: readonly string[];
}

/** A way to compute that a device may get wrong without being useless. */
interface Variant {
  readonly name: string;
  readonly isPresent: boolean;
  readonly answers: KnownAnswers;
  readonly tuning: Tuning;
  readonly without: Partial<GpuCapabilities>;
}

/**
 * Runs kernels on known answers, as `defaultTuning(capabilities, chosen)` would have them run.
 * Subgroups and f16 that fail are turned off with a warning; throws a SelfTestError when the
 * baseline fails. Software adapters get f16 only when it is chosen: it is slower there, and takes
 * seconds to compile.
 */
export async function selfTest(
  context: GpuContext,
  chosen: Partial<Tuning> = {},
): Promise<SelfTestResult> {
  const { capabilities } = context;
  const tuning = defaultTuning(capabilities, chosen);
  const plain = { ...tuning, useSubgroups: false, useF16Tiles: false };
  const baseline = await problemOf(context, plain, baselineAnswers);
  if (baseline !== null) {
    throw new SelfTestError(`"${capabilities.adapterName}" cannot be used: ${baseline}`);
  }
  const { subgroupSize, hasF16, isSoftware } = capabilities;
  const isF16Wanted = !isSoftware || tuning.useF16Tiles;
  const variants: Variant[] = [{
    name: "Subgroup operations",
    isPresent: subgroupSize > 0,
    answers: workgroupSumAnswers,
    tuning: { ...plain, useSubgroups: true },
    without: { subgroupSize: 0 },
  }, {
    name: "f16 arithmetic",
    isPresent: hasF16 && isF16Wanted,
    answers: tileAnswers,
    tuning: { ...plain, useF16Tiles: true },
    without: { hasF16: false },
  }];
  let allowed: Partial<GpuCapabilities> = isF16Wanted ? {} : { hasF16: false };
  const warnings: string[] = [];
  for (const { name, isPresent, answers, tuning, without } of variants) {
    const problem = isPresent ? await problemOf(context, tuning, answers) : null;
    if (problem === null) continue;
    allowed = { ...allowed, ...without };
    warnings.push(`${name} of "${capabilities.adapterName}" stay unused: ${problem}`);
  }
  return { context: withCapabilities(context, allowed), warnings };
}

/** The first thing that is wrong, in words; null when all is right. */
async function problemOf(
  context: GpuContext,
  tuning: Tuning,
  answers: KnownAnswers,
): Promise<string | null> {
  const bench = new SelfTestBench(context);
  try {
    return await runAnswers(context, bench, { tuning, answers });
  } catch (error) {
    if (error instanceof ShaderError) return error.message;
    throw error;
  } finally {
    bench.destroy();
  }
}

/** Runs one round of cases; the first wrong answer, in words, or null. */
async function runAnswers(
  context: GpuContext,
  bench: SelfTestBench,
  { tuning, answers }: { readonly tuning: Tuning; readonly answers: KnownAnswers },
): Promise<string | null> {
  const { device, capabilities } = context;
  const programs = new ProgramCache(context, INCLUDES);
  const step = await bench.upload(SELF_TEST_STEP, "uniform");
  const cases = await answers(bench, { programs, capabilities, tuning, step });
  await programs.compiled();
  const ring = new ReadbackRing(context);
  try {
    const readbacks = [];
    for (const { output, expected } of cases) {
      readbacks.push(await ring.reserve(output, expected.values.length * 4));
    }
    const recorder = new Recorder(context);
    device.pushErrorScope("validation");
    recorder.submit(
      recorder.record(cases.flatMap(({ dispatches }) => dispatches)),
      readbacks.map(({ copy }) => copy),
    );
    const error = await context.wait(device.popErrorScope());
    if (error !== null) return error.message;
    for (const [index, known] of cases.entries()) {
      const problem = compare(known, await readbacks[index]!.read());
      if (problem !== null) return problem;
    }
    return null;
  } finally {
    ring.destroy();
  }
}

function compare({ name, expected, isInteger }: KnownAnswer, bytes: ArrayBuffer): string | null {
  const actual = isInteger ? new Uint32Array(bytes) : new Float32Array(bytes);
  for (const [index, want] of expected.values.entries()) {
    const got = actual[index] ?? NaN;
    const error = Math.abs(got - want);
    // A NaN is within no bound.
    if (error <= expected.bounds[index]!) continue;
    return `${name} gives ${got} instead of ${want} at element ${index}, off by ${error}`;
  }
  return null;
}
