/**
 * The browser: its own WebGPU.
 *
 * @module
 */
import type { GpuProvider } from "./platform.ts";
import type { KnownMemory } from "./pledge.ts";
import { isSoftwareAdapter } from "./software_adapter.ts";

/** WebGPU in a page or worker. Empty where the browser has none or the page is not secure. */
export const browserGpu: GpuProvider = {
  async listAdapters() {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
    if (adapter === null || adapter === undefined) return [];
    return [{
      adapter,
      backend: "browser",
      isSoftware: isSoftwareAdapter(adapter),
      wait: (promise) => promise,
    }];
  },
};

/** What a page may know: Chromium tells the system's memory, in whole powers of two. */
export function browserMemory(): KnownMemory {
  const { deviceMemory = null } = navigator as { deviceMemory?: number };
  return {
    systemBytes: deviceMemory === null ? null : deviceMemory * 1024 ** 3,
    freeSystemBytes: null,
    freeGpuBytes: null,
  };
}
