/** Runs in Deno: prints the report on Dawn there as one line of JSON. */
import { denoGpu } from "../../src/platform/deno.ts";
import { checkGpuProvider } from "../contracts/gpu_provider.ts";

const provider = denoGpu({ backend: "dawn", isTrusted: false });
console.log(JSON.stringify(await checkGpuProvider(provider)));
