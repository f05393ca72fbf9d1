/** The kernels on SwiftShader, the adapter of headless browsers: no f16, subgroups of 4. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { GPU_PROVIDER_CHECKS } from "../contracts/gpu_provider.ts";
import { findProgram } from "./find_program.ts";
import { reportOf, runProgram } from "./run_program.ts";

/** All but sample, whose statistics need many runs. */
const KERNELS = [
  "attention_decode",
  "attention_prefill",
  "copy_blocks",
  "copy_tokens",
  "embed",
  "kv_store",
  "matmul",
  "matvec",
  "penalize",
  "projection",
  "rms_norm",
  "rope",
  "silu_mul",
];

const root = join(import.meta.dirname!, "../..");
const driver = await findDriver();
/** The Vulkan loader finds this driver and no other, under the variable's new and old name. */
const env = {
  VK_DRIVER_FILES: driver,
  VK_ICD_FILENAMES: driver,
  TESSERA_TEST_ADAPTER: "swiftshader",
};

describe("Dawn on Chromium's SwiftShader", () => {
  test("does what every GpuProvider does", async () => {
    const entry = join(root, "tests/platform/deno_entry.ts");
    const command = [Deno.execPath(), "run", "-A", "--no-lock", entry];
    const report = reportOf(await runProgram(command, { deadlineMs: 60_000, env }));
    expect(report.problem).toBeNull();
    expect(report.passed).toEqual(GPU_PROVIDER_CHECKS);
    expect(report.warnings).toEqual([]);
    expect(report.adapters).toEqual([{ backend: "dawn", isSoftware: true }]);
    expect(report.capabilities).toMatchObject({
      adapterName: expect.stringMatching(/swiftshader/i),
      isSoftware: true,
      hasF16: false,
      subgroupSize: 4,
    });
  });

  test("computes the kernels right", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tessera-swiftshader-"));
    try {
      const results = join(folder, "results.json");
      const files = KERNELS.map((name) => `tests/kernels/${name}.test.ts`);
      const { code, stdout, stderr } = await runProgram([
        ...[Deno.execPath(), "run", "-A", "--no-lock", "npm:vitest", "run", "--root", root],
        ...["--reporter", "default", "--reporter", "json", "--outputFile.json", results, ...files],
      ], { deadlineMs: 230_000, env });
      expect(code, `${stdout}\n${stderr}`).toBe(0);
      const { numPassedTests, numTotalTests, testResults } = JSON.parse(
        await readFile(results, "utf8"),
      );
      expect(testResults.length).toBe(KERNELS.length);
      expect(numPassedTests).toBe(numTotalTests);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 240_000);
});

/** Chromium brings the driver, next to its binary. */
async function findDriver(): Promise<string> {
  const name = "vk_swiftshader_icd.json";
  const folders = [dirname(await findProgram("chromium")), "/usr/lib/chromium"];
  for (const folder of folders) {
    const path = join(folder, name);
    if (await Deno.stat(path).then((entry) => entry.isFile, () => false)) return path;
  }
  throw new Error(`No ${name} in ${folders.join(" or ")}: run "deno task setup --for-tests"`);
}
