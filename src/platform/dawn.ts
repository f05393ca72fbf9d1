import { create, globals } from "webgpu";
import type { AdapterChoice } from "./platform.ts";
import { isSoftwareAdapter } from "./software_adapter.ts";

/** How Dawn is built for one process. */
export interface DawnOptions {
  /** Validation and robustness stay on unless the programs are trusted; tests keep them on. */
  readonly isTrusted: boolean;
  readonly wait: AdapterChoice["wait"];
  /** Also look for an adapter whose name contains this. */
  readonly wanted?: string | undefined;
}

const FEATURES = ["allow_unsafe_apis", "vulkan_enable_f16_on_nvidia", "use_vulkan_memory_model"];
const TRUSTED_FEATURES = ["skip_validation", "disable_robustness", "disable_workgroup_init"];

const REQUESTS: readonly GPURequestAdapterOptions[] = [
  { powerPreference: "high-performance" },
  { powerPreference: "low-power" },
  { forceFallbackAdapter: true },
];

/**
 * Opens Dawn through npm `webgpu` and lists the adapters that it finds, hardware first.
 *
 * The object that `create()` returns must outlive every device: when it is collected, the process
 * aborts. So each one is kept on `globalThis` for good.
 */
export async function listDawnAdapters(options: DawnOptions): Promise<AdapterChoice[]> {
  Object.assign(globalThis, globals);
  const enabled = options.isTrusted ? [...FEATURES, ...TRUSTED_FEATURES] : FEATURES;
  const flags = [
    `enable-dawn-features=${enabled.join(",")}`,
    "disable-dawn-features=timestamp_quantization",
  ];
  const choices: AdapterChoice[] = [];
  const add = async (gpu: GPU, request: GPURequestAdapterOptions) => {
    const adapter = await gpu.requestAdapter(request);
    if (adapter === null || choices.some((c) => isSameDevice(c.adapter, adapter))) return;
    const isSoftware = isSoftwareAdapter(adapter);
    choices.push({ adapter, backend: "dawn", isSoftware, wait: options.wait });
  };
  const gpu = createForever(flags);
  for (const request of REQUESTS) await add(gpu, request);
  if (options.wanted !== undefined) {
    const named = createForever([...flags, `adapter=${options.wanted}`]);
    // Dawn throws where no adapter has the name, in just this spelling.
    await add(named, {}).catch(() => {});
  }
  return choices.sort((a, b) => Number(a.isSoftware) - Number(b.isSoftware));
}

function isSameDevice(a: GPUAdapter, b: GPUAdapter): boolean {
  return a.info.device === b.info.device && a.info.description === b.info.description;
}

function createForever(flags: string[]): GPU {
  const gpu: GPU = create(flags);
  const holder = globalThis as { __tesseraDawn?: GPU[] };
  (holder.__tesseraDawn ??= []).push(gpu);
  return gpu;
}
