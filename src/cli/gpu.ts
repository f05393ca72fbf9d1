import { chooseAdapter, type GpuContext, openContext } from "../gpu/context.ts";
import { selfTest } from "../kernels/self_test.ts";
import { defaultTuning, type Tuning } from "../kernels/tuning.ts";
import { denoGpu } from "../platform/deno.ts";
import type { AdapterChoice } from "../platform/platform.ts";

/** The flags of every command that computes. */
export interface GpuFlags {
  readonly adapter?: string;
  readonly backend: "auto" | "dawn" | "wgpu";
  readonly kv?: "f16" | "f32";
  readonly deterministic?: boolean;
}

/** A tested device with the choices of kernels for it. */
export interface OpenedGpu {
  readonly context: GpuContext;
  readonly tuning: Tuning;
  readonly adapter: AdapterChoice;
}

/**
 * Opens the wanted adapter and runs the kernel self-test on it. Throws a NoAdapterError or
 * SelfTestError; says on stderr what the user should know.
 */
export async function openGpu(
  flags: GpuFlags,
  { isTrusted }: { readonly isTrusted: boolean },
): Promise<OpenedGpu> {
  const adapters = await denoGpu({ backend: flags.backend, isTrusted })
    .listAdapters(flags.adapter);
  const choice = chooseAdapter(adapters, flags.adapter);
  if (choice.warning !== undefined) console.error(`Warning: ${choice.warning}`);
  const { context, warnings } = await selfTest(await openContext(choice));
  for (const warning of warnings) console.error(`Warning: ${warning}`);
  const { capabilities } = context;
  if (capabilities.isSoftware) {
    console.error(
      `Warning: "${capabilities.adapterName}" computes on the CPU; expect a small fraction of a GPU's speed`,
    );
  }
  const tuning = defaultTuning(capabilities, {
    ...(flags.deterministic !== undefined && { isDeterministic: flags.deterministic }),
    ...(flags.kv !== undefined && { useF16Kv: flags.kv === "f16" }),
  });
  return { context, tuning, adapter: choice };
}
