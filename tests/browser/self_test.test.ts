import { expect, test } from "vitest";
import { GPU_PROVIDER_CHECKS, type GpuProviderReport } from "../contracts/gpu_provider.ts";
import { bundle } from "../platform/bundle.ts";
import { reportOfPage } from "./chromium.ts";

test("Chromium's WebGPU does what every GpuProvider does", async () => {
  const code = await bundle(new URL("./self_test_entry.ts", import.meta.url));
  const report = await reportOfPage({ code, deadlineMs: 60_000 }) as GpuProviderReport;
  expect(report.problem).toBeNull();
  expect(report.passed).toEqual(GPU_PROVIDER_CHECKS);
  expect(report.warnings).toEqual([]);
  expect(report.adapters).toEqual([{ backend: "browser", isSoftware: true }]);
  expect(report.capabilities).toMatchObject({
    adapterName: expect.stringMatching(/swiftshader/i),
    backend: "browser",
    isSoftware: true,
    hasF16: false,
    subgroupSize: 4,
  });
});
