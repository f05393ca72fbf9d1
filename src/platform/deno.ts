/**
 * The Deno runtime: Dawn first, Deno's own WebGPU as the fallback.
 *
 * @module
 */
import { DawnPolling } from "./dawn_polling.ts";
import { listDawnAdapters } from "./dawn.ts";
import type { AdapterChoice, GpuProvider } from "./platform.ts";
import { isSoftwareAdapter } from "./software_adapter.ts";

/** Options of the Deno GPU provider. */
export interface DenoGpuOptions {
  /** `auto` takes Dawn and falls back to Deno's built-in WebGPU. */
  readonly backend: "auto" | "dawn" | "wgpu";
  /** Passed to Dawn: no validation, no robustness. */
  readonly isTrusted: boolean;
}

/** WebGPU in Deno. */
export function denoGpu(options: DenoGpuOptions): GpuProvider {
  return {
    async listAdapters(wanted) {
      const choices: AdapterChoice[] = [];
      if (options.backend !== "wgpu") {
        const polling = DawnPolling.install();
        const wait: AdapterChoice["wait"] = (promise, kind) => polling.wait(promise, kind);
        choices.push(...await listDawnAdapters({ isTrusted: options.isTrusted, wait, wanted }));
      }
      if (options.backend === "wgpu" || choices.length === 0 && options.backend === "auto") {
        choices.push(...await listBuiltInAdapters());
      }
      return choices;
    },
  };
}

async function listBuiltInAdapters(): Promise<AdapterChoice[]> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null || adapter === undefined) return [];
  return [{
    adapter,
    backend: "wgpu",
    isSoftware: isSoftwareAdapter(adapter),
    warning:
      "Deno's built-in WebGPU waits about 11 ms for every readback and has no subgroups: expect slow decoding, or make npm:webgpu (Dawn) load",
    wait: (promise) => promise,
  }];
}
