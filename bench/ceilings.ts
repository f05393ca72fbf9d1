/**
 * What the adapter can do at most, measured by programs that do nothing else.
 *
 * @module
 */
import { allocate } from "../src/gpu/buffer.ts";
import type { BenchDevice } from "./bench_device.ts";
import { measureGpuTime } from "./measure.ts";
import fmaPeak from "./probes/fma_peak.wgsl" with { type: "text" };
import streamRead from "./probes/stream_read.wgsl" with { type: "text" };
import { randomTile } from "./weight_tile.ts";

/** Measured limits of one adapter. */
export interface Ceilings {
  /** Storage buffers read from end to end, 10^9 bytes a second. */
  readonly gbPerS: number;
  /** f32 fused multiply-adds, two operations each, 10^9 a second. */
  readonly gflops: number;
}

/** Grids that are tried; the best one counts. */
const STREAM_GROUPS = { software: [16, 256], hardware: [1024, 2048, 4096, 16_384] } as const;

/** Chains of fma_peak.wgsl. */
const FMAS_PER_TURN = 12;

/** Measures both ceilings; a second or two. */
export async function measureCeilings(
  device: BenchDevice,
  { repeats }: { readonly repeats: number },
): Promise<Ceilings> {
  return {
    gbPerS: await measureStream(device, repeats),
    gflops: await measureFma(device, repeats),
  };
}

async function measureStream(device: BenchDevice, repeats: number): Promise<number> {
  const { context, kernels } = device;
  const { isSoftware, maxBindingBytes } = context.capabilities;
  const groups = isSoftware ? STREAM_GROUPS.software : STREAM_GROUPS.hardware;
  // Whole turns of every grid: 4 stretches of 16 bytes for each of 256 threads.
  const turnBytes = Math.max(...groups) * 256 * 64;
  const wantedBytes = Math.min(maxBindingBytes, isSoftware ? 128 << 20 : 2 ** 30);
  const sizeBytes = Math.max(1, Math.floor(wantedBytes / turnBytes)) * turnBytes;
  const source = await allocate(context, { label: "stream source", sizeBytes });
  const result = await allocate(context, { label: "stream result", sizeBytes: 16 });
  const tile = randomTile("f32");
  for (let at = 0; at < sizeBytes; at += tile.length) {
    const length = Math.min(tile.length, sizeBytes - at);
    context.device.queue.writeBuffer(source, at, tile, 0, length);
  }
  const program = kernels.programs.get(
    { name: "stream_read", source: streamRead },
    { LENGTH: sizeBytes / 16 },
  );
  let best = 0;
  for (const numGroups of groups) {
    const dispatch = {
      program,
      bindings: [source, result],
      workgroups: [numGroups, 1, 1],
    } as const;
    const { bestMs } = await measureGpuTime(device, [[dispatch]], { repeats });
    best = Math.max(best, sizeBytes / bestMs / 1e6);
  }
  source.destroy();
  result.destroy();
  return best;
}

async function measureFma(device: BenchDevice, repeats: number): Promise<number> {
  const { context, kernels } = device;
  const { isSoftware } = context.capabilities;
  const [turns, numGroups] = isSoftware ? [2048, 64] : [8192, 8192];
  const result = await allocate(context, { label: "fma result", sizeBytes: 16 });
  const dispatch = {
    program: kernels.programs.get({ name: "fma_peak", source: fmaPeak }, { TURNS: turns }),
    bindings: [result],
    workgroups: [numGroups, 1, 1],
  } as const;
  const { bestMs } = await measureGpuTime(device, [[dispatch]], { repeats });
  result.destroy();
  return 2 * FMAS_PER_TURN * turns * numGroups * 64 / bestMs / 1e6;
}
