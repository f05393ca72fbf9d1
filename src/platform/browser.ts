/**
 * The browser: its own WebGPU.
 *
 * @module
 */
import type { GpuProvider } from "./platform.ts";
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
