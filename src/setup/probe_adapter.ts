/**
 * Says as one line of JSON which adapters this machine has. A process of its own, because a broken
 * Vulkan driver takes its process down with it.
 *
 * @module
 */
import { denoGpu } from "../platform/deno.ts";
import type { AdapterProbe } from "./machine.ts";

const choices = await denoGpu({ backend: "auto", isTrusted: false }).listAdapters();
const probe: AdapterProbe = {
  hasDawn: choices.some(({ backend }) => backend === "dawn"),
  hasHardware: choices.some(({ isSoftware }) => !isSoftware),
};
console.log(JSON.stringify(probe));
// Dawn would keep the process alive.
Deno.exit(0);
