import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { denoGpu } from "../../src/platform/deno.ts";
import {
  checkGpuProvider,
  GPU_PROVIDER_CHECKS,
  type GpuProviderReport,
} from "../contracts/gpu_provider.ts";
import { bundle } from "./bundle.ts";
import { reportOf, runProgram } from "./run_program.ts";

function expectPassed(report: GpuProviderReport, backend: "dawn" | "wgpu"): void {
  expect(report.problem).toBeNull();
  expect(report.passed).toEqual(GPU_PROVIDER_CHECKS);
  expect(new Set(report.adapters.map((adapter) => adapter.backend))).toEqual(new Set([backend]));
}

describe("a GpuProvider does what every one does:", () => {
  test("Dawn in Deno", async () => {
    const report = await checkGpuProvider(denoGpu({ backend: "dawn", isTrusted: false }));
    expectPassed(report, "dawn");
    expect(report.warnings).toEqual([]);
  });

  test("Deno's own WebGPU, with a warning", async () => {
    const report = await checkGpuProvider(denoGpu({ backend: "wgpu", isTrusted: false }));
    expectPassed(report, "wgpu");
    expect(report.warnings[0]).toContain("Deno's built-in WebGPU");
  });

  test("Dawn in Node", async () => {
    // Below node_modules, so that Node finds npm `webgpu` from there.
    const cache = join(import.meta.dirname!, "../../node_modules/.cache");
    await mkdir(cache, { recursive: true });
    const folder = await mkdtemp(join(cache, "tessera-node-"));
    try {
      const path = join(folder, "entry.mjs");
      await writeFile(path, await bundle(new URL("./node_entry.ts", import.meta.url)));
      const report = reportOf(await runProgram(["node", path], { deadlineMs: 60_000 }));
      expectPassed(report, "dawn");
      expect(report.warnings).toEqual([]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
