/** Runs in Node, bundled: prints the report on its GpuProvider as one line of JSON. */
import { nodeGpu } from "../../src/platform/node.ts";
import { checkGpuProvider } from "../contracts/gpu_provider.ts";

console.log(JSON.stringify(await checkGpuProvider(nodeGpu({ isTrusted: false }))));
