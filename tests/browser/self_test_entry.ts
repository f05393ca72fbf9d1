/** Runs in a page, bundled: posts the report on its GpuProvider to the server it came from. */
import { browserGpu } from "../../src/platform/browser.ts";
import { checkGpuProvider } from "../contracts/gpu_provider.ts";

const report = await checkGpuProvider(browserGpu);
await fetch("/report", { method: "POST", body: JSON.stringify(report) });
