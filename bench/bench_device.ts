import { allocate } from "../src/gpu/buffer.ts";
import { chooseAdapter, type GpuContext, openContext } from "../src/gpu/context.ts";
import { Profiler } from "../src/gpu/profiler.ts";
import { ProgramCache } from "../src/gpu/program.ts";
import { Recorder } from "../src/gpu/recorder.ts";
import { type KernelContext, STEP_BYTES } from "../src/kernels/context.ts";
import { INCLUDES } from "../src/kernels/includes.ts";
import { defaultTuning } from "../src/kernels/tuning.ts";
import { denoGpu } from "../src/platform/deno.ts";
import type { BenchOptions } from "./options.ts";

/** An open device with what running and timing kernels needs. */
export interface BenchDevice {
  readonly context: GpuContext;
  readonly kernels: KernelContext;
  readonly recorder: Recorder;
  readonly profiler: Profiler;
}

/** Opens the adapter as a headless peer would, or with checks on. Throws a NoAdapterError. */
export async function openBenchDevice(options: BenchOptions): Promise<BenchDevice> {
  const gpu = denoGpu({ backend: "auto", isTrusted: !options.isChecked });
  const choice = chooseAdapter(await gpu.listAdapters(), options.adapter ?? undefined);
  if (choice.warning !== undefined) console.error(`Warning: ${choice.warning}`);
  const context = await openContext(choice);
  const { capabilities } = context;
  return {
    context,
    kernels: {
      programs: new ProgramCache(context, INCLUDES),
      capabilities,
      tuning: defaultTuning(
        capabilities,
        options.isDeterministic === null ? {} : { isDeterministic: options.isDeterministic },
      ),
      step: await allocate(context, { label: "step", sizeBytes: STEP_BYTES, role: "uniform" }),
    },
    recorder: new Recorder(context),
    profiler: await Profiler.create(context),
  };
}
