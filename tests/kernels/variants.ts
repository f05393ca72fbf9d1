import type { GpuCapabilities } from "../../src/gpu/context.ts";
import type { Tuning } from "../../src/kernels/tuning.ts";

/** A way to run a kernel, and its name in tests. */
export interface Variant {
  readonly name: string;
  readonly tuning: Partial<Tuning>;
}

/** Every way that matvec can join a row's sum on this device. */
export function matvecVariants({ subgroupSize }: GpuCapabilities): Variant[] {
  const shared = [1, 8, 32].map((matvecLanes) => ({
    name: `${matvecLanes} lanes`,
    tuning: { matvecLanes, useSubgroups: false },
  }));
  if (subgroupSize === 0) return shared;
  const subgroups = {
    name: `subgroups of ${subgroupSize}`,
    tuning: { matvecLanes: subgroupSize, useSubgroups: true },
  };
  if (subgroupSize !== 8) return [...shared, subgroups];
  const broadcasts = {
    name: "1 lane and broadcasts",
    tuning: { matvecLanes: 1, useSubgroups: true },
  };
  return [...shared, subgroups, broadcasts];
}

/** Sums over a workgroup with and without subgroups. */
export function sumVariants({ subgroupSize }: GpuCapabilities): Variant[] {
  const baseline = { name: "workgroup memory", tuning: { useSubgroups: false } };
  if (subgroupSize === 0) return [baseline];
  return [baseline, { name: `subgroups of ${subgroupSize}`, tuning: { useSubgroups: true } }];
}

/** Matmul tiles in f32, and in f16 where the device computes with it. */
export function tileVariants({ hasF16 }: GpuCapabilities): Variant[] {
  const baseline = { name: "f32 tiles", tuning: { useF16Tiles: false } };
  return hasF16 ? [baseline, { name: "f16 tiles", tuning: { useF16Tiles: true } }] : [baseline];
}
