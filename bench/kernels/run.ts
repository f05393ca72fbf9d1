/**
 * GPU time of every kernel on the shapes of a model, one JSON line a case.
 *
 * @module
 */
import type { WeightFormat } from "../../src/core.ts";
import { WEIGHT_FORMATS } from "../../src/formats/weight_format.ts";
import { type BenchDevice, openBenchDevice } from "../bench_device.ts";
import { type Ceilings, measureCeilings } from "../ceilings.ts";
import { rate, round } from "../cost.ts";
import { measureGpuTime } from "../measure.ts";
import { Operands } from "../operands.ts";
import { type BenchOptions, OptionError } from "../options.ts";
import { shapeConfig, type ShapeName } from "../shapes.ts";
import { KERNEL_CASES } from "./cases.ts";
import type { CaseScale, KernelCase } from "./kernel_case.ts";

/** Sizes that an adapter of one kind gets through in minutes. */
interface Scale {
  readonly shape: ShapeName;
  /** Where none is chosen: shapes of other families. */
  readonly expertShapes: readonly ShapeName[];
  readonly latentShape: ShapeName;
  readonly manyTokens: number;
  readonly lengths: readonly number[];
  readonly rotateMib: number;
}

const SOFTWARE: Scale = {
  shape: "smollm2-135m",
  expertShapes: ["smollm2-135m"],
  latentShape: "smollm2-135m",
  manyTokens: 64,
  lengths: [128, 512],
  rotateMib: 0,
};
const HARDWARE: Scale = {
  shape: "llama-8b",
  expertShapes: ["qwen3-30b-a3b", "gpt-oss-20b"],
  latentShape: "deepseek-v2-lite",
  manyTokens: 512,
  lengths: [512, 4096, 16_384],
  rotateMib: 300,
};

const DEFAULT_REPEATS = 5;

/** One line. */
interface KernelLine {
  readonly kernel: string;
  readonly shape: string;
  readonly format: WeightFormat | null;
  readonly dispatches: number;
  readonly gpuUs: number;
  readonly gbPerS?: number;
  readonly gflops?: number;
  readonly ceiling: number;
  readonly share: number;
  readonly adapter: string;
}

/** Prints the ceilings, then every case. Returns the exit code: 1 when a case failed. */
export async function benchKernels(options: BenchOptions): Promise<number> {
  checkNames(options.only);
  const device = await openBenchDevice(options);
  const { adapterName: adapter, isSoftware } = device.context.capabilities;
  const defaults = isSoftware ? SOFTWARE : HARDWARE;
  const repeats = options.repeats ?? DEFAULT_REPEATS;
  const ceilings = await measureCeilings(device, { repeats });
  print({ ceiling: "stream_read", gbPerS: round(ceilings.gbPerS), adapter });
  print({ ceiling: "fma_peak", gflops: round(ceilings.gflops), adapter });

  const config = shapeConfig(options.shape ?? defaults.shape);
  const isChosen = options.shape !== null;
  const scale: CaseScale = {
    config,
    expertModels: isChosen ? [config] : defaults.expertShapes.map(shapeConfig),
    latentModel: isChosen ? config : shapeConfig(defaults.latentShape),
    formats: options.weights ?? Object.keys(WEIGHT_FORMATS) as WeightFormat[],
    manyTokens: options.promptTokens ?? defaults.manyTokens,
    lengths: defaults.lengths,
    isF16Kv: device.kernels.tuning.useF16Kv,
  };
  const rotateBytes = (options.rotateMib ?? defaults.rotateMib) << 20;
  let hasFailed = false;
  for (const [kernel, casesOf] of Object.entries(KERNEL_CASES)) {
    if (options.only !== null && !options.only.includes(kernel)) continue;
    for (const kernelCase of casesOf(scale)) {
      const { kernel, shape, format } = kernelCase;
      try {
        print(
          await runCase(kernelCase, { device, ceilings, rotateBytes, repeats }),
        );
      } catch (error) {
        hasFailed = true;
        print({ kernel, shape, format, error: String(error), adapter });
      }
    }
  }
  device.context.destroy();
  return hasFailed ? 1 : 0;
}

async function runCase(
  { kernel, shape, format, cost, prepare }: KernelCase,
  { device, ceilings, rotateBytes, repeats }: {
    readonly device: BenchDevice;
    readonly ceilings: Ceilings;
    readonly rotateBytes: number;
    readonly repeats: number;
  },
): Promise<KernelLine> {
  const operands = new Operands(device, rotateBytes);
  try {
    const runs = await prepare(device.kernels, operands);
    const { medianMs } = await measureGpuTime(device, runs, { repeats });
    return {
      kernel,
      shape,
      format,
      dispatches: runs[0]?.length ?? 0,
      gpuUs: round(medianMs * 1000),
      ...rate(cost, medianMs, ceilings),
      adapter: device.context.capabilities.adapterName,
    };
  } finally {
    operands.destroy();
  }
}

function checkNames(only: readonly string[] | null): void {
  const stranger = only?.find((name) => !Object.hasOwn(KERNEL_CASES, name));
  if (stranger === undefined) return;
  throw new OptionError(
    `There is no kernel "${stranger}": use ${Object.keys(KERNEL_CASES).join(", ")}`,
  );
}

function print(line: object): void {
  console.log(JSON.stringify(line));
}
