/**
 * How much memory a device lends when nobody says.
 *
 * @module
 */
import type { AdapterChoice } from "./platform.ts";

/** What a runtime knows of memory, in bytes; null where it does not tell. */
export interface KnownMemory {
  /** Of the system in all. */
  readonly systemBytes: number | null;
  /** Of the system, not in use. */
  readonly freeSystemBytes: number | null;
  /** Of the GPU, not in use. */
  readonly freeGpuBytes: number | null;
}

/** What is left to others: the desktop, the browser, this program's own buffers. */
const LARGEST_SHARE = 0.6;
/** Of system memory, which the CPU's weights share with everything else. */
const SOFTWARE_SHARE = 0.5;
/** Where nothing is known: most GPUs of the last ten years have this. */
const UNKNOWN_BYTES = 4 * 1024 ** 3;

/** `memoryHeaps` of Chromium and Dawn, where the feature is there and on. */
type HeapAdapter = { readonly memoryHeaps?: readonly { size: number; properties: number }[] };
/** The heap is on the device. */
const DEVICE_LOCAL = 1;

/**
 * Bytes that the adapter lends by default: half of the free system memory on software adapters, 60 %
 * of what a GPU is known to have. 4 GiB where that is unknown, but at most 60 % of the system's
 * memory: phones have less, and share it with their GPU.
 */
export function defaultPledgeBytes(
  { adapter, isSoftware }: Pick<AdapterChoice, "adapter" | "isSoftware">,
  { systemBytes, freeSystemBytes, freeGpuBytes }: KnownMemory,
): number {
  if (isSoftware && freeSystemBytes !== null) return Math.floor(freeSystemBytes * SOFTWARE_SHARE);
  const gpuBytes = isSoftware ? null : freeGpuBytes ?? largestHeapBytes(adapter);
  if (gpuBytes !== null) return Math.floor(gpuBytes * LARGEST_SHARE);
  return Math.floor(Math.min(UNKNOWN_BYTES, (systemBytes ?? Infinity) * LARGEST_SHARE));
}

function largestHeapBytes(adapter: GPUAdapter): number | null {
  const heaps = (adapter.info as HeapAdapter).memoryHeaps ?? [];
  const sizes = heaps.filter(({ properties }) => (properties & DEVICE_LOCAL) !== 0)
    .map(({ size }) => size).filter((size) => Number.isSafeInteger(size) && size > 0);
  return sizes.length === 0 ? null : Math.max(...sizes);
}
