import type { Clock } from "../platform/platform.ts";
import { allocate, destroyAll } from "./buffer.ts";
import { type GpuContext, GpuMemoryError } from "./context.ts";

const PIECE_BYTES = 256 << 20;
const LONGEST_MS = 2_000;

/**
 * How many of `wantedBytes` the device has room for: allocates them in pieces of 256 MiB until it
 * refuses, and frees them again. WebGPU has no other way to ask. Not for software adapters, which
 * promise anything, since nothing is written: llvmpipe gave 200 GiB of 24. And never for more than is
 * wanted: whoever shares the card has no memory meanwhile, and some drivers move buffers to main
 * memory and to disk before they refuse (AMD's on Windows, gfx-rs/wgpu#7460). After 2 s the rest is
 * believed: an H100 gives 20 to 47 GiB a second.
 */
export async function grantedBytes(
  context: GpuContext,
  { wantedBytes, clock }: { readonly wantedBytes: number; readonly clock: Clock },
): Promise<number> {
  const { device, capabilities } = context;
  const pieceBytes = Math.min(PIECE_BYTES, capabilities.maxBufferBytes);
  const pieces: GPUBuffer[] = [];
  const endMs = clock.now() + LONGEST_MS;
  let granted = 0;
  try {
    while (granted < wantedBytes && clock.now() < endMs) {
      const sizeBytes = Math.min(pieceBytes, wantedBytes - granted);
      pieces.push(await allocate(context, { label: "memory probe", sizeBytes }));
      granted += sizeBytes;
    }
    return wantedBytes;
  } catch (error) {
    if (error instanceof GpuMemoryError) return granted;
    throw error;
  } finally {
    destroyAll(context, pieces);
    await context.wait(device.queue.onSubmittedWorkDone());
  }
}
