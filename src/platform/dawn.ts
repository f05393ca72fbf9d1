import { create, globals } from "webgpu";
import type { AdapterChoice } from "./platform.ts";
import { isSoftwareAdapter } from "./software_adapter.ts";

/** How Dawn is built for one process. */
export interface DawnOptions {
  /** Validation and robustness stay on unless the programs are trusted; tests keep them on. */
  readonly isTrusted: boolean;
  readonly wait: AdapterChoice["wait"];
}

const FEATURES = ["allow_unsafe_apis", "vulkan_enable_f16_on_nvidia", "use_vulkan_memory_model"];
const TRUSTED_FEATURES = ["skip_validation", "disable_robustness", "disable_workgroup_init"];

/**
 * Opens Dawn through npm `webgpu` and lists the adapters that it finds, hardware first.
 *
 * The object that `create()` returns must outlive every device: when it is collected, the process
 * aborts. So each one is kept on `globalThis` for good.
 */
export async function listDawnAdapters(options: DawnOptions): Promise<AdapterChoice[]> {
  Object.assign(globalThis, globals);
  const enabled = options.isTrusted ? [...FEATURES, ...TRUSTED_FEATURES] : FEATURES;
  const gpu: GPU = create([
    `enable-dawn-features=${enabled.join(",")}`,
    "disable-dawn-features=timestamp_quantization",
  ]);
  keepForever(gpu);
  const choices: AdapterChoice[] = [];
  for (const powerPreference of ["high-performance", "low-power"] as const) {
    const adapter = await gpu.requestAdapter({ powerPreference });
    if (adapter === null || choices.some((c) => isSameDevice(c.adapter, adapter))) continue;
    choices.push({
      adapter,
      backend: "dawn",
      isSoftware: isSoftwareAdapter(adapter),
      wait: options.wait,
    });
  }
  return choices.sort((a, b) => Number(a.isSoftware) - Number(b.isSoftware));
}

function isSameDevice(a: GPUAdapter, b: GPUAdapter): boolean {
  return a.info.device === b.info.device && a.info.description === b.info.description;
}

function keepForever(gpu: GPU): void {
  const holder = globalThis as { __tesseraDawn?: GPU[] };
  (holder.__tesseraDawn ??= []).push(gpu);
}
